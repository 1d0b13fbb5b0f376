#include "apply/ban_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>
#include <utility>

#include "apply/file_lock.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/state_format.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxLog = std::size_t{1} << 30;
constexpr std::chrono::seconds kLogPatience{10};

std::string path_of(const std::string& state_directory) {
  return fmt::format("{}/{}", state_directory, kBanLog);
}

// Nobody shortens the log meanwhile, or appends.
Result<FileLock> lock_log(const std::string& state_directory) {
  return FileLock::take(state_directory + "/bans.lock", kLogPatience);
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
  if (entry.left) {
    json["until"] = now + entry.left->count();
    json["for"] = entry.left->count();
  }
  if (!entry.reason.empty()) json["reason"] = entry.reason;
  return sealed_line(std::move(json));
}

// The line that holds for an entry.
struct Line {
  RunTimeEntry entry;
  std::optional<std::int64_t> until;
  std::optional<std::int64_t> given;  // how long it was at first, in seconds
  std::string text;

  bool is_over(std::int64_t now) const { return until && *until <= now; }
};

// std::nullopt for a removal, and for what says nothing.
std::optional<Line> read_line(const Json& json, const std::string& text) {
  const auto number = [&](const char* key) -> std::optional<std::int64_t> {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_number_integer()) return std::nullopt;
    return at->get<std::int64_t>();
  };
  auto entry = entry_of(json["entry"].get<std::string>());
  if (!entry || json.contains("removed")) return std::nullopt;
  Line line{
      .entry = std::move(*entry), .until = number("until"), .given = number("for"), .text = text};
  // A time that cannot be read is no reason to ban for good, or to open for good.
  if (json.contains("until") && !line.until) return std::nullopt;
  if (const auto reason = json.find("reason"); reason != json.end() && reason->is_string()) {
    line.entry.reason = reason->get<std::string>();
  }
  return line;
}

struct Log {
  std::map<std::string, Line> holds;
  std::vector<std::string> damaged;
  bool has_removals = false;
};

Log parse(const std::string& text) {
  Log log;
  for (const std::string& each : lines_of(text)) {
    const auto json = unsealed_or_old(each);
    if (!json || !json->contains("entry") || !json->at("entry").is_string()) {
      if (!each.empty()) log.damaged.push_back(each);
      continue;
    }
    const std::string name = json->at("entry").get<std::string>();
    log.holds.erase(name);
    auto line = read_line(*json, each);
    log.has_removals |= !line;
    if (line) log.holds.emplace(name, std::move(*line));
  }
  return log;
}

// One line for each entry; of what is over by the clock, the latest. What is damaged stays, for
// whoever can tell what it was, before all that was said since.
std::string shortened(const Log& log, std::int64_t now) {
  constexpr std::size_t kMostOver = 4096;
  constexpr std::size_t kMostDamaged = 4096;
  std::string text;
  for (std::size_t i = 0; i < std::min(log.damaged.size(), kMostDamaged); ++i) {
    text += log.damaged[i] + "\n";
  }
  std::vector<const Line*> over;
  for (const auto& [name, line] : log.holds) {
    if (line.is_over(now)) {
      over.push_back(&line);
    } else {
      text += line.text + "\n";
    }
  }
  std::ranges::sort(over, std::greater<>(), [](const Line* line) { return *line->until; });
  over.resize(std::min(over.size(), kMostOver));
  for (const Line* line : over) text += line->text + "\n";
  return text;
}

// What holds now of what the log says.
Remembered remembered_of(const Log& log, const std::string& state_directory, std::int64_t now) {
  Remembered remembered;
  const bool is_empty = log.holds.empty() && log.damaged.empty() && !log.has_removals;
  remembered.is_lost = is_empty && is_there(state_directory, kBansBegun);
  if (remembered.is_lost) {
    remembered.problems.push_back(fmt::format(
        "{0} is gone or empty, but bans or openings were recorded there: they are lost, make them "
        "again. The next one, or `rm {1}/{2}`, ends this message",
        path_of(state_directory), state_directory, kBansBegun));
  }
  if (!log.damaged.empty()) {
    remembered.problems.push_back(fmt::format(
        "{}: {} damaged and left out: a ban or an opening may be missing. Make it again and delete "
        "the line",
        path_of(state_directory),
        log.damaged.size() == 1 ? "1 line is" : fmt::format("{} lines are", log.damaged.size())));
  }
  for (const auto& [name, line] : log.holds) {
    if (line.is_over(now)) continue;
    RunTimeEntry entry = line.entry;
    if (line.until) {
      const std::int64_t left = *line.until - now;
      entry.left = std::chrono::seconds(line.given ? std::min(left, *line.given) : left);
    }
    remembered.entries.push_back(std::move(entry));
  }
  return remembered;
}

// "": nobody was banned yet.
Result<std::string> read_text(const std::string& state_directory) {
  Result<std::string> text;
  if (const auto known = check_format(state_directory); known) {
    text = read_state_file(state_directory, kBanLog, kMaxLog);
  } else {
    text = std::unexpected(known.error());
  }
  if (!text && text.error().os_errno == ENOENT) return std::string();
  if (!text) text.error().message = "bans and openings: " + text.error().message;
  return text;
}

// A mark that cannot be made is no reason to refuse a ban. REQUIRES: the log is locked.
void mark_begun(const std::string& state_directory) {
  if (is_there(state_directory, kBansBegun)) return;
  [[maybe_unused]] const auto made =
      write_new_file(fmt::format("{}/{}", state_directory, kBansBegun), "", kPrivateFile);
}

// Of an empty directory, as somebody may have emptied it: without `format` what is written there
// would make it look like another program's. REQUIRES: the log is locked.
Result<void> write_format_first(const std::string& state_directory) {
  const auto in_use = is_in_use(state_directory);
  if (!in_use) return std::unexpected(in_use.error());
  if (*in_use) return {};
  return write_file_atomically(fmt::format("{}/{}", state_directory, kFormatFile),
                               fmt::format("{}\n", kStateFormat), kPrivateFile);
}

Result<void> append(const std::string& state_directory, const std::string& line) {
  const Result<FileLock> lock = lock_log(state_directory);
  if (!lock) return std::unexpected(lock.error());
  TRY(write_format_first(state_directory));
  TRY(append_to_state_file(state_directory, kBanLog, line, kMaxLog, /*on_disk=*/false));
  mark_begun(state_directory);
  return {};
}

}  // namespace

Result<void> log_entry(const std::string& state_directory, const RunTimeEntry& entry,
                       const World& world) {
  return append(state_directory, line_of(entry, world.wall_seconds()));
}

Result<void> log_removal(const std::string& state_directory, const RunTimeEntry& entry) {
  return append(state_directory, sealed_line({{"entry", name_of(entry)}, {"removed", true}}));
}

Result<bool> is_logged(const std::string& state_directory, const RunTimeEntry& entry) {
  const Result<std::string> text = read_text(state_directory);
  if (!text) return std::unexpected(text.error());
  return parse(*text).holds.contains(name_of(entry));
}

std::string logged_reason(const std::string& state_directory, const RunTimeEntry& entry,
                          const World& world) {
  const Result<std::string> text = read_text(state_directory);
  if (!text) return "";
  const Log log = parse(*text);
  const auto at = log.holds.find(name_of(entry));
  const bool holds = at != log.holds.end() && !at->second.is_over(world.wall_seconds());
  return holds ? at->second.entry.reason : "";
}

Remembered look_at_log(const std::string& state_directory, const World& world) {
  // A line that is being appended is whole when it is read again.
  for (int attempt = 0;; ++attempt) {
    const Result<std::string> text = read_text(state_directory);
    if (!text) return {.entries = {}, .problems = {text.error().message}, .is_read = false};
    const Log log = parse(*text);
    if (log.damaged.empty() || attempt == 1) {
      return remembered_of(log, state_directory, world.wall_seconds());
    }
  }
}

Remembered read_log(const std::string& state_directory, const World& world) {
  const Result<FileLock> lock = lock_log(state_directory);
  if (lock) remove_half_written(state_directory, kBanLog);
  const Result<std::string> text = read_text(state_directory);
  if (!text) return {.entries = {}, .problems = {text.error().message}, .is_read = false};
  const std::int64_t now = world.wall_seconds();
  const Log log = parse(*text);
  Remembered remembered = remembered_of(log, state_directory, now);
  const std::string shorter = shortened(log, now);
  if (lock && !text->empty()) mark_begun(state_directory);
  if (lock && shorter.size() < text->size()) {
    // First: what is killed here has lost nothing.
    if (shorter.empty()) ::unlink(fmt::format("{}/{}", state_directory, kBansBegun).c_str());
    [[maybe_unused]] const auto written =
        write_file_atomically(path_of(state_directory), shorter, kPrivateFile);
  }
  return remembered;
}

}  // namespace rolewall::apply
