#include "apply/ban_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLog = std::size_t{1} << 30;
constexpr unsigned kFileMode = 0600;

std::string path_of(const std::string& state_directory) {
  return state_directory + "/bans.log";
}

// Open and locked: nobody shortens the log meanwhile, or appends.
class LockedLog {
 public:
  static Result<LockedLog> open(const std::string& path) {
    while (true) {
      const int fd =
          ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kFileMode);
      if (fd < 0) return io_error(path, errno);
      LockedLog log(fd);
      while (::flock(fd, LOCK_EX) != 0) {
        if (errno != EINTR) return io_error(path, errno);
      }
      // Another log may have taken its place while we waited.
      struct stat ours{};
      struct stat there{};
      if (::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &there) == 0 &&
          ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
        return log;
      }
    }
  }
  ~LockedLog() {
    if (fd_ >= 0) ::close(fd_);
  }
  LockedLog(LockedLog&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LockedLog& operator=(LockedLog&&) = delete;

  Result<void> append(const std::string& line, const std::string& path) const {
    const ssize_t size = ::write(fd_, line.data(), line.size());
    if (size == static_cast<ssize_t>(line.size())) return {};
    return io_error(path, size < 0 ? errno : ENOSPC);
  }

 private:
  explicit LockedLog(int fd) : fd_(fd) {}
  int fd_;
};

std::string name_of(const RunTimeEntry& entry) {
  if (entry.banned) return fmt::format("ban {}", net::format(*entry.banned));
  return fmt::format("allow {} {} {}", entry.opened->protocol, entry.opened->port,
                     net::format(entry.opened->from));
}

std::optional<RunTimeEntry> entry_of(const std::string& name) {
  std::istringstream words(name);
  std::string kind;
  std::string address;
  RunTimeEntry entry;
  words >> kind;
  if (kind == "ban" && words >> address) {
    entry.banned = net::parse_prefix(address);
    if (entry.banned) return entry;
  }
  unsigned protocol = 0;
  unsigned port = 0;
  if (kind == "allow" && words >> protocol >> port >> address) {
    const auto from = net::parse_address(address);
    if (!from || protocol > UINT8_MAX || port > UINT16_MAX) return std::nullopt;
    entry.opened = {static_cast<std::uint8_t>(protocol), static_cast<std::uint16_t>(port), *from};
    return entry;
  }
  return std::nullopt;
}

std::string line_of(const RunTimeEntry& entry, std::int64_t now) {
  Json json{{"entry", name_of(entry)}};
  if (entry.left) json["until"] = now + entry.left->count();
  if (!entry.reason.empty()) json["reason"] = entry.reason;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<void> append(const std::string& state_directory, const std::string& line) {
  const std::string path = path_of(state_directory);
  const Result<LockedLog> log = LockedLog::open(path);
  if (!log) return std::unexpected(log.error());
  return log->append(line, path);
}

}  // namespace

Result<void> log_entry(const std::string& state_directory, const RunTimeEntry& entry) {
  return append(state_directory, line_of(entry, std::time(nullptr)));
}

Result<void> log_removal(const std::string& state_directory, const RunTimeEntry& entry) {
  return append(state_directory, Json{{"entry", name_of(entry)}, {"removed", true}}.dump() + "\n");
}

Result<std::vector<RunTimeEntry>> read_log(const std::string& state_directory) {
  const std::string path = path_of(state_directory);
  const Result<LockedLog> lock = LockedLog::open(path);
  if (!lock) return std::unexpected(lock.error());
  const Result<std::string> text = read_file(path, kMaxLog);
  if (!text) return std::unexpected(text.error());
  const std::int64_t now = std::time(nullptr);
  std::map<std::string, RunTimeEntry> holds;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    // What a crash has cut short says nothing.
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("entry") || !json["entry"].is_string()) continue;
    const std::string name = json["entry"].get<std::string>();
    holds.erase(name);
    auto entry = entry_of(name);
    if (!entry || json.contains("removed")) continue;
    if (const auto until = json.find("until"); until != json.end()) {
      if (!until->is_number_integer() || until->get<std::int64_t>() <= now) continue;
      entry->left = std::chrono::seconds(until->get<std::int64_t>() - now);
    }
    if (const auto reason = json.find("reason"); reason != json.end() && reason->is_string()) {
      entry->reason = reason->get<std::string>();
    }
    holds.emplace(name, std::move(*entry));
  }
  std::vector<RunTimeEntry> entries;
  std::string shorter;
  for (auto& [name, entry] : holds) {
    shorter += line_of(entry, now);
    entries.push_back(std::move(entry));
  }
  if (shorter.size() < text->size()) TRY(write_file_atomically(path, shorter, kFileMode));
  return entries;
}

}  // namespace rolewall::apply
