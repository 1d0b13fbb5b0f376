#include "observe/socket_owners.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace rolewall::observe {
namespace {

// Those that are numbers, sorted; none where the directory cannot be read.
std::vector<unsigned> numbers_in(const std::string& path) {
  std::vector<unsigned> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name(entry->d_name);
    unsigned number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

// "socket:[4711]"
std::optional<std::uint64_t> socket_at(const std::string& path) {
  constexpr std::string_view kBegin = "socket:[";
  std::array<char, 64> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  if (size <= 0) return std::nullopt;
  const std::string_view text(target.data(), static_cast<std::size_t>(size));
  if (!text.starts_with(kBegin)) return std::nullopt;
  std::uint64_t inode = 0;
  const auto [end, error] =
      std::from_chars(text.data() + kBegin.size(), text.data() + text.size(), inode);
  return error == std::errc{} ? std::optional(inode) : std::nullopt;
}

std::string name_of_process(unsigned process) {
  constexpr std::size_t kLongestName = 64;
  const auto name = read_file(fmt::format("/proc/{}/comm", process), kLongestName);
  return name ? name->substr(0, name->find('\n')) : "";
}

}  // namespace

SocketOwners socket_owners() {
  SocketOwners owners;
  for (const unsigned process : numbers_in("/proc")) {
    const std::string folder = fmt::format("/proc/{}/fd", process);
    std::string name;
    for (const unsigned fd : numbers_in(folder)) {
      const auto inode = socket_at(fmt::format("{}/{}", folder, fd));
      if (!inode) continue;
      if (name.empty()) name = name_of_process(process);
      owners.emplace(*inode, name);
    }
  }
  return owners;
}

}  // namespace rolewall::observe
