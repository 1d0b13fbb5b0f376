#include "apply/pending.h"

#include <fmt/format.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/world.h"
#include "base/calendar.h"
#include "base/time.h"

namespace rolewall::apply {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxPendingFile = 64UL * 1024;

}  // namespace

std::string to_json(const Pending& pending) {
  Json json{{"token", pending.token},
            {"boot_id", pending.boot_id},
            {"deadline_ns", pending.deadline_ns},
            {"deadline", pending.deadline},
            {"watcher", pending.watcher}};
  if (pending.generation) json["generation"] = *pending.generation;
  if (pending.former) json["former"] = *pending.former;
  return sealed_file(std::move(json));
}

Result<std::optional<Pending>> read_pending(const std::string& directory) {
  const std::string path = fmt::format("{}/{}", directory, kPendingFile);
  const Result<std::string> text = read_state_file(directory, kPendingFile, kMaxPendingFile);
  if (!text && text.error().os_errno == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(text.error());
  const auto json = unsealed_or_old(*text);
  if (!json) return fail(ErrorKind::Io, path + ": is damaged");
  Pending pending;
  try {
    json->at("token").get_to(pending.token);
    json->at("boot_id").get_to(pending.boot_id);
    json->at("deadline_ns").get_to(pending.deadline_ns);
    json->at("deadline").get_to(pending.deadline);
    json->at("watcher").get_to(pending.watcher);
    const auto number = [&](const char* name) -> std::optional<std::uint32_t> {
      if (!json->contains(name)) return std::nullopt;
      return json->at(name).get<std::uint32_t>();
    };
    pending.generation = number("generation");
    pending.former = number("former");
  } catch (const Json::exception&) {
    return fail(ErrorKind::Io, path + ": is damaged");
  }
  return pending;
}

std::string name_of_waiting(const Pending& pending) {
  if (!pending.generation) return "the removal of the table";
  return fmt::format("generation {}", *pending.generation);
}

bool has_deadline(const Pending& pending) {
  return pending.deadline_ns != UINT64_MAX;
}

std::string when_over(const Pending& pending, const World& world) {
  if (!has_deadline(pending)) return "at an unknown time (pending.json is gone or damaged)";
  if (pending.boot_id != world.boot_id()) return "at " + pending.deadline;
  const std::uint64_t now = world.boot_ns();
  const bool is_over = pending.deadline_ns <= now;
  const std::uint64_t apart = is_over ? now - pending.deadline_ns : pending.deadline_ns - now;
  const std::string time = time_in_words(
      std::chrono::seconds(static_cast<std::int64_t>((apart + kNsPerSecond / 2) / kNsPerSecond)));
  return fmt::format("at {} ({}{}{})", pending.deadline, is_over ? "" : "in ", time,
                     is_over ? " ago" : "");
}

}  // namespace rolewall::apply
