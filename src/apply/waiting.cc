#include "apply/waiting.h"

#include <fmt/format.h>

#include <utility>

#include "apply/applied_json.h"
#include "apply/events.h"
#include "apply/state_files.h"
#include "apply/state_links.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

// What is in force and would be taken back.
std::optional<Unconfirmed> unconfirmed(const std::string& directory) {
  const auto current = current_number(directory);
  if (!current) return std::nullopt;
  const auto events = read_events(directory);
  if (events && !events->all.empty() && in_force_by(events->all) == *current) {
    auto waits = unconfirmed_by(events->all);
    // What a boot loads was confirmed, though the history had no room for it.
    const auto boots = boot_number(directory);
    const bool is_confirmed = boots && *boots == *current;
    if (waits && (waits->what != *current || is_confirmed)) waits.reset();
    return waits;
  }
  // The history is lost, too, or does not say what is in force.
  const auto boots = boot_number(directory);
  const bool differs = boots && *boots != *current && is_there(directory, kPendingFile);
  return differs ? std::optional(Unconfirmed{*current, *boots}) : std::nullopt;
}

// In which boot something was put in force last: what waits was, too, or it was not yet taken back
// for that.
std::string last_boot(const std::string& directory) {
  const auto text = read_state_file(directory, kKernelFile, kMaxKernelFile);
  return text ? where_of(*text).boot_id : "";
}

}  // namespace

bool is_confirmed(const std::string& directory, const Pending& armed) {
  const auto events = read_events(directory);
  const auto boots = boot_number(directory);
  if (!events || !boots || *boots != armed.generation) return false;
  // Of a history that is lost the link is left, which who confirms makes first.
  if (events->all.empty()) return true;
  const Event& last = events->all.back();
  return last.kind == EventKind::Confirmed && last.to == armed.generation;
}

Waiting whatever_waits(const std::string& directory) {
  Waiting waiting;
  auto read = read_pending(directory);
  if (read && *read && is_confirmed(directory, **read)) return waiting;
  if (read && *read) {
    waiting.pending = std::move(*read);
    return waiting;
  }
  const auto unconfirmed = apply::unconfirmed(directory);
  if (!unconfirmed) {
    if (!read) {
      waiting.problem =
          "cannot tell whether something waits for its confirmation, so nothing is "
          "taken to wait: " +
          read.error().message;
    }
    return waiting;
  }
  Pending& pending = waiting.pending.emplace();
  pending.generation = unconfirmed->what;
  pending.former = unconfirmed->confirmed;
  pending.boot_id = last_boot(directory);
  pending.deadline_ns = UINT64_MAX;
  waiting.problem = fmt::format(
      "{}; by the history {} waits for its confirmation",
      read ? fmt::format("{}/{}: is gone", directory, kPendingFile) : read.error().message,
      name_of_waiting(pending));
  return waiting;
}

Waiting what_waits(const std::string& directory, const World& world) {
  Waiting waiting = whatever_waits(directory);
  if (waiting.pending && waiting.pending->boot_id != world.boot_id()) waiting = {};
  return waiting;
}

bool is_overdue(const Pending& pending, const World& world) {
  return pending.deadline_ns <= world.boot_ns();
}

bool is_over(const Pending& pending, const World& world) {
  return pending.boot_id != world.boot_id() || is_overdue(pending, world);
}

}  // namespace rolewall::apply
