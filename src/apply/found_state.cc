#include "apply/found_state.h"

#include <utility>

#include "apply/commit.h"
#include "apply/restore.h"
#include "apply/waiting.h"
#include "apply/way_back.h"

namespace rolewall::apply {

void FoundState::look() {
  if (!state_.mended().empty()) problems.push_back(state_.mended());
  if (const auto current = current_number(state_.path())) number = *current;
  Result<std::optional<Generation>> read = state_.current();
  if (!read) {
    is_spoilt = true;
    problems.push_back("what was applied last cannot be read and is ignored: " +
                       read.error().message);
  } else if (*read) {
    in_force = std::make_shared<const Generation>(std::move(**read));
  }
  Waiting waiting = whatever_waits(state_.path());
  waits = std::move(waiting.pending);
  if (waiting.problem.empty()) return;
  problems.push_back(std::move(waiting.problem));
  if (waits) return;
  if (const auto removed = disarm(state_); !removed) problems.push_back(removed.error().message);
}

bool FoundState::is_over() const {
  return waits && apply::is_over(*waits, world_);
}

Result<std::optional<Generation>> FoundState::confirmed() const {
  if (waits && !is_over()) {
    const WayBack way = way_back(state_.path(), number, waits);
    if (way.is_there) return read_former(state_.path(), way.to);
  }
  if (in_force) return *in_force;
  return std::nullopt;
}

Result<std::optional<Generation>> FoundState::adopt(Applied now,
                                                    const ruleset::Snapshot& compiled) {
  auto live = kernel_.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {});
  if (!live) return std::unexpected(std::move(live).error());
  if (!*live || (*live)->chains.empty()) return std::nullopt;
  for (ruleset::Set& set : (*live)->sets) {
    // Bans and openings are no policy's, and what packets have added is not either.
    if (set.dynamic || set.has_timeout) set.elements = {};
  }
  Generation found{.applied = std::move(now), .snapshot = compiled};
  found.snapshot.sources.clear();
  found.snapshot.ruleset = ruleset::configuration(ruleset::Ruleset{{std::move(**live)}});
  found.applied.changes = is_spoilt ? "found in the kernel: what was recorded of it cannot be read"
                                    : "found in the kernel: nothing was recorded of it";
  const auto generation = state_.prepare(found.snapshot, found.applied);
  if (!generation) return std::unexpected(generation.error());
  found.applied.generation = *generation;
  adopted = *generation;
  return found;
}

Result<Today> today_beside(const std::string& directory, const std::optional<Pending>& waits,
                           const World& world) {
  if (!waits || is_over(*waits, world)) return Today{};
  const Result<std::optional<Generation>> former = read_former(directory, waits->former);
  // What is damaged cannot be compared with; what is in force can.
  if (!former) return Today{};
  if (!*former) return Today{.confirmed = std::optional<ruleset::Table>()};
  const Result<const ruleset::Table*> table = own_table((*former)->snapshot);
  if (!table) return std::unexpected(table.error());
  return Today{.confirmed = std::optional<ruleset::Table>(**table)};
}

}  // namespace rolewall::apply
