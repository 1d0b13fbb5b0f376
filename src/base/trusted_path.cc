#include "base/trusted_path.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"

namespace rolewall {
namespace {

constexpr int kMostLinks = 40;  // as the kernel follows (MAXSYMLINKS of include/linux/namei.h)

// The owner that a user namespace shows of whoever it does not know (fs.overflowuid).
constexpr uid_t kUnknownOwner = 65534;

// Root may be one of those whom our user namespace does not know: then "/" is not root's either.
bool root_is_unknown() {
  struct stat status{};
  return ::lstat("/", &status) == 0 && status.st_uid == kUnknownOwner;
}

bool is_ours(uid_t owner) {
  return owner == 0 || owner == ::geteuid() || (owner == kUnknownOwner && root_is_unknown());
}

}  // namespace

std::string weakness(const std::string& path, const struct stat& status) {
  const char* what = S_ISDIR(status.st_mode) ? "directory" : "file";
  if (!is_ours(status.st_uid)) {
    return fmt::format(
        "the {} {} belongs to user {}: what others can change is not "
        "used (chown root {})",
        what, path, status.st_uid, path);
  }
  // Links have no mode of their own; in a sticky directory nobody renames what is another's.
  const bool sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  const unsigned open = status.st_mode & (S_IWGRP | S_IWOTH);
  if (S_ISLNK(status.st_mode) || sticky || open == 0) return "";
  const char* who = (open & S_IWOTH) != 0 ? "everybody" : "its group";
  const char* mode = (open & S_IWOTH) != 0 ? "go-w" : "g-w";
  return fmt::format(
      "{} can write the {} {}: what others can change is not used "
      "(chmod {} {})",
      who, what, path, mode, path);
}

// From the root on, each name looked at before it is followed.
Result<void> check_trusted_path(const std::string& path, std::set<std::string>& trusted) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error);
  if (error) return io_error(path, error.value());
  std::deque<std::string> ahead;
  for (const auto& part : whole.relative_path()) ahead.push_back(part.string());
  std::filesystem::path here = "/";
  int links = 0;
  const auto look = [&](const std::filesystem::path& at, struct stat& status) -> Result<void> {
    if (::lstat(at.c_str(), &status) != 0) return io_error(path, errno);
    const std::string why = weakness(at.string(), status);
    return why.empty() ? Result<void>{} : fail(ErrorKind::Io, why);
  };
  struct stat status{};
  TRY(look(here, status));
  while (!ahead.empty()) {
    const std::string name = ahead.front();
    ahead.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      here = here.parent_path();
      continue;
    }
    const std::filesystem::path next = here / name;
    if (trusted.contains(next.string())) {
      here = next;
      continue;
    }
    TRY(look(next, status));
    if (S_ISDIR(status.st_mode)) trusted.insert(next.string());
    if (!S_ISLNK(status.st_mode)) {
      here = next;
      continue;
    }
    if (++links > kMostLinks) return io_error(path, ELOOP);
    const auto target = std::filesystem::read_symlink(next, error);
    if (error) return io_error(path, error.value());
    if (target.is_absolute()) here = "/";
    const std::filesystem::path relative = target.relative_path();
    std::deque<std::string> parts;
    for (const auto& part : relative) parts.push_back(part.string());
    ahead.insert(ahead.begin(), parts.begin(), parts.end());
  }
  return {};
}

bool others_are_known() {
  std::ifstream map("/proc/self/uid_map");
  std::string line;
  unsigned users = 0;
  while (std::getline(map, line)) {
    std::istringstream fields(line);
    unsigned inside = 0;
    unsigned outside = 0;
    unsigned count = 0;
    fields >> inside >> outside >> count;
    users += std::min(count, 2U);
  }
  return users != 1;
}

}  // namespace rolewall
