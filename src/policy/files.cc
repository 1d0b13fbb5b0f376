#include "policy/files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/file.h"

namespace rolewall::policy {
namespace {

// A directory of more entries is not a site.
constexpr std::size_t kMostEntries = 100'000;

}  // namespace

Result<std::string> DiskFiles::read(const std::string& path, std::size_t limit) const {
  return read_file(path, limit);
}

bool DiskFiles::is_below(const std::string& path, const std::string& directory) const {
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error) return true;
  const std::filesystem::path base = std::filesystem::canonical(directory, error);
  if (error) return true;
  return std::ranges::mismatch(base, real).in1 == base.end();
}

Result<std::vector<std::string>> DiskFiles::list(const std::string& directory) const {
  std::error_code error;
  const auto refuse = [&] {
    return fail(ErrorKind::Io, fmt::format("{}: {}", directory, error.message()), error.value());
  };
  std::filesystem::directory_iterator entry(directory, error);
  if (error) return refuse();
  std::vector<std::string> names;
  while (entry != std::filesystem::directory_iterator()) {
    std::string name = entry->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
    if (names.size() > kMostEntries) {
      return fail(ErrorKind::Io, fmt::format("{}: more than {} entries", directory, kMostEntries));
    }
    entry.increment(error);
    if (error) return refuse();
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace rolewall::policy
