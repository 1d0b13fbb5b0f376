#include "apply/ban_log.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apply/file_lock.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLog = std::size_t{1} << 30;
constexpr std::chrono::seconds kPatience{10};

std::string path_of(const std::string& state_directory) {
  return state_directory + "/bans.log";
}

// Nobody shortens the log meanwhile, or appends.
Result<FileLock> lock_log(const std::string& state_directory) {
  return FileLock::take(state_directory + "/bans.lock", kPatience);
}

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
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<void> append(const std::string& state_directory, const std::string& line) {
  const Result<FileLock> lock = lock_log(state_directory);
  if (!lock) return std::unexpected(lock.error());
  return append_line(path_of(state_directory), line, kPrivateFile);
}

}  // namespace

Result<void> log_entry(const std::string& state_directory, const RunTimeEntry& entry,
                       const World& world) {
  return append(state_directory, line_of(entry, world.wall_seconds()));
}

Result<void> log_removal(const std::string& state_directory, const RunTimeEntry& entry) {
  return append(state_directory, Json{{"entry", name_of(entry)}, {"removed", true}}.dump());
}

Result<std::vector<RunTimeEntry>> read_log(const std::string& state_directory, const World& world) {
  const std::string path = path_of(state_directory);
  const Result<FileLock> lock = lock_log(state_directory);
  if (!lock) return std::unexpected(lock.error());
  const Result<std::string> text = read_file(path, kMaxLog);
  if (!text && text.error().os_errno == ENOENT) return {};  // nobody was banned yet
  if (!text) return std::unexpected(text.error());
  const std::int64_t now = world.wall_seconds();
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
    shorter += line_of(entry, now) + "\n";
    entries.push_back(std::move(entry));
  }
  if (shorter.size() < text->size()) TRY(write_file_atomically(path, shorter, kPrivateFile));
  return entries;
}

}  // namespace rolewall::apply
