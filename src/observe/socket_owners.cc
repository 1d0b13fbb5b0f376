#include "observe/socket_owners.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>
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

// A line of /proc/PID/fdinfo/FD: "iff:\ttun0".
bool is_tun(unsigned process, unsigned fd, const std::string& device) {
  constexpr std::size_t kLongest = 4096;
  std::array<char, 64> target{};
  const ssize_t size =
      ::readlink(fmt::format("/proc/{}/fd/{}", process, fd).c_str(), target.data(), target.size());
  if (size <= 0 ||
      std::string_view(target.data(), static_cast<std::size_t>(size)) != "/dev/net/tun") {
    return false;
  }
  const auto info = read_file(fmt::format("/proc/{}/fdinfo/{}", process, fd), kLongest);
  return info && info->find(fmt::format("iff:\t{}\n", device)) != std::string::npos;
}

// The sockets of each process of which `holds` is true for one of its files.
template <class Holds>
std::set<std::uint64_t> sockets_of(const Holds& holds) {
  std::set<std::uint64_t> found;
  for (const unsigned process : numbers_in("/proc")) {
    const std::string folder = fmt::format("/proc/{}/fd", process);
    std::set<std::uint64_t> sockets;
    bool counts = false;
    for (const unsigned fd : numbers_in(folder)) {
      const auto socket = socket_at(fmt::format("{}/{}", folder, fd));
      if (socket) sockets.insert(*socket);
      counts = counts || holds(process, fd, socket);
    }
    if (counts) found.merge(sockets);
  }
  return found;
}

struct Standing {
  unsigned parent = 0;
  unsigned terminal = 0;
};

// The fourth and the seventh field of /proc/PID/stat; the second, in parentheses, may hold
// anything.
Standing standing_of(unsigned process) {
  constexpr std::size_t kLongestStat = 4096;
  const auto stat = read_file(fmt::format("/proc/{}/stat", process), kLongestStat);
  const std::size_t name_end = stat ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return {};
  std::istringstream rest(stat->substr(name_end + 1));
  std::string state;
  Standing standing;
  long group = 0;
  long session = 0;
  rest >> state >> standing.parent >> group >> session >> standing.terminal;
  return standing;
}

}  // namespace

bool sees_processes() {
  return ::access("/proc/self/stat", R_OK) == 0;
}

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

std::set<std::uint64_t> sockets_beside_tun(const std::string& device) {
  return sockets_of([&](unsigned process, unsigned fd, const std::optional<std::uint64_t>& socket) {
    return !socket && is_tun(process, fd, device);
  });
}

Process process_of(unsigned id) {
  Process process{.name = name_of_process(id), .sockets = {}};
  const std::string folder = fmt::format("/proc/{}/fd", id);
  for (const unsigned fd : numbers_in(folder)) {
    if (const auto inode = socket_at(fmt::format("{}/{}", folder, fd))) {
      process.sockets.insert(*inode);
    }
  }
  return process;
}

std::map<unsigned, Process> processes_with_sockets() {
  std::map<unsigned, Process> found;
  for (const unsigned id : numbers_in("/proc")) {
    Process process = process_of(id);
    if (!process.sockets.empty()) found.emplace(id, std::move(process));
  }
  return found;
}

std::vector<unsigned> processes_named(std::string_view name) {
  std::vector<unsigned> found = numbers_in("/proc");
  std::erase_if(found, [&](unsigned id) { return name_of_process(id) != name; });
  return found;
}

unsigned parent_of(unsigned process) {
  return standing_of(process).parent;
}

std::vector<unsigned> ancestors() {
  constexpr std::size_t kMost = 64;
  std::vector<unsigned> found;
  auto process = static_cast<unsigned>(::getppid());
  for (; process > 1 && found.size() < kMost; process = parent_of(process)) {
    found.push_back(process);
  }
  return found;
}

unsigned terminal_of(unsigned process) {
  return standing_of(process).terminal;
}

}  // namespace rolewall::observe
