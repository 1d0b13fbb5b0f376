#include "apply/interrupted.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/applied_json.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/events.h"
#include "apply/known_names.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/state_links.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

// A generation is prepared under the highest number. One above all that events speak of, and not in
// use, never was in force; where the history is damaged or lost, that cannot be said.
void discard_prepared(StateDirectory& state) {
  const auto events = read_events(state.path());
  const auto kept = list_generations(state.path());
  const auto current = current_number(state.path());
  const auto boots = boot_number(state.path());
  const auto pending = read_pending(state.path());
  const bool is_known = events && kept && current && boots && pending;
  if (!is_known || events->all.empty() || events->damaged != 0) return;
  std::uint32_t newest = std::max(current->value_or(0), boots->value_or(0));
  for (const Event& event : events->all) {
    newest = std::max({newest, event.from.value_or(0), event.to.value_or(0)});
  }
  if (*pending) {
    newest = std::max({newest, (*pending)->generation.value_or(0), (*pending)->former.value_or(0)});
  }
  for (const std::uint32_t generation : *kept) {
    const bool is_ours =
        is_there(state.path(), fmt::format("{}/{}", folder_of(generation), kSealFile));
    if (generation > newest && is_ours) state.discard(generation);
  }
}

}  // namespace

bool is_table_of(const ruleset::Table* live, const std::string& directory, Number generation) {
  const auto read = read_former(directory, generation);
  if (!read) return false;
  if (!*read || live == nullptr) return !*read && live == nullptr;
  const auto table = own_table((*read)->snapshot);
  return table && difference(*live, **table, IdleJumps::Stay).empty();
}

Result<std::optional<Pending>> waits_in_place_of(const std::string& directory, const Pending& armed,
                                                 const ruleset::Table* live, const World& world) {
  const auto current = current_number(directory);
  const auto events = read_events(directory);
  const auto may_have_come = [] { return fail(ErrorKind::Refused, "it may be in force"); };
  if (!current || !events || *current == armed.generation) return may_have_come();
  // After a restart nothing is in force of what was not recorded.
  const bool of_this_boot = armed.boot_id == world.boot_id();
  if (of_this_boot && !is_table_of(live, directory, *current)) return may_have_come();
  const auto waits = unconfirmed_by(events->all);
  if (!waits || waits->what != *current) return std::nullopt;
  Pending before = armed;
  before.generation = waits->what;
  before.former = waits->confirmed;
  return before;
}

Result<std::optional<Pending>> waits_in_place_of(const std::string& directory, const Pending& armed,
                                                 Kernel& kernel, const World& world) {
  const auto live = kernel.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {});
  if (!live) return std::unexpected(live.error());
  return waits_in_place_of(directory, armed, *live ? &**live : nullptr, world);
}

void clear_interrupted(StateDirectory& state, Kernel& kernel, const World& world) {
  const auto armed = read_pending(state.path());
  const auto current = current_number(state.path());
  if (armed && *armed && current && *current != (*armed)->generation) {
    const auto waits = waits_in_place_of(state.path(), **armed, kernel, world);
    if (!waits) return;
    const auto written =
        *waits ? state.write(kPendingFile, to_json(**waits)) : state.remove(kPendingFile);
    if (!written) return;
  }
  discard_prepared(state);
}

void sweep_half_written(const std::string& directory) {
  // bans.log has a lock of its own.
  for (const std::string_view file : {std::string_view(kFormatFile), std::string_view(kPendingFile),
                                      std::string_view(kKernelFile), std::string_view(kHistoryFile),
                                      std::string_view(kNamesFile)}) {
    remove_half_written(directory, file);
  }
  const auto names = list_state_folder(directory, kGenerations);
  if (!names) return;
  constexpr std::string_view kAside = ".new";
  for (const std::string& name : *names) {
    const bool unfinished = name.ends_with(kAside) &&
                            plain_number(name.substr(0, name.size() - kAside.size())).has_value();
    if (unfinished) remove_generation_folder(directory, fmt::format("{}/{}", kGenerations, name));
  }
}

}  // namespace rolewall::apply
