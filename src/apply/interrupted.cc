#include "apply/interrupted.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "apply/applied_json.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/events.h"
#include "apply/known_names.h"
#include "apply/missing_events.h"
#include "apply/restore.h"
#include "apply/seal.h"
#include "apply/state_files.h"
#include "apply/state_links.h"
#include "apply/waiting.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;
using ruleset::Table;

// From the first apply on. One that was lost, or cut because it was long, begins with what was
// there before, and does not speak of all that was ever made.
bool is_whole(const Events& events, std::size_t kept) {
  if (events.damaged != 0) return false;
  return events.all.empty() ? kept == 1 : !events.all.front().from;
}

// A generation is prepared under the highest number. Of one above all that the record and a whole
// history speak of, the kernel tells whether it came into force. Where it did not, it stays, and
// its number is never another's: without its event nobody can say that it never was.
bool record_prepared(StateDirectory& state, Kernel& kernel, const World& world) {
  const auto kept = list_generations(state.path());
  const auto current = current_number(state.path());
  const auto newest = newest_known(state.path());
  if (!kept || kept->empty() || !current || !newest || kept->back() <= *newest) return false;
  const auto events = read_events(state.path());
  if (!events || !is_whole(*events, kept->size())) return false;
  const std::uint32_t prepared = kept->back();
  const auto live = kernel.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {});
  if (!live || !*live || !read_former(state.path(), *current)) return false;
  if (is_table_of(&**live, state.path(), *current)) return false;
  if (!is_table_of(&**live, state.path(), prepared)) return false;
  return record_applied(state, world, *current, prepared).has_value();
}

// What it said the history says, up to now: the event of an apply that was interrupted, which is
// written next, says nothing of it, for who was interrupted had not made it anew.
void make_lost_boot_link(StateDirectory& state) {
  if (!is_lost(state.path(), kBootLink)) return;
  const auto boots = boot_number(state.path());
  if (!boots) return;
  [[maybe_unused]] const auto made = state.make_boot(*boots);
}

// Where it says of something that never was in force, or is confirmed, that it waits.
void clear_pending(StateDirectory& state, Kernel& kernel, const World& world) {
  const auto armed = read_pending(state.path());
  const auto current = current_number(state.path());
  if (!armed || !*armed || !current) return;
  if (*current == (*armed)->generation) {
    if (!is_confirmed(state.path(), **armed)) return;
    [[maybe_unused]] const auto removed = state.remove(kPendingFile);
    return;
  }
  const auto waits = waits_in_place_of(state.path(), **armed, kernel, world);
  if (!waits) return;
  [[maybe_unused]] const auto written =
      *waits ? state.write(kPendingFile, to_json(**waits)) : state.remove(kPendingFile);
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
  // What a boot loads was confirmed, though the history had no room for it.
  const auto boots = boot_number(directory);
  if (boots && *boots == *current) return std::nullopt;
  auto waits = unconfirmed_by(events->all);
  // Of a history that is lost the links are left.
  if (events->all.empty() && boots) waits = Unconfirmed{*current, *boots};
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
  make_lost_boot_link(state);
  clear_pending(state, kernel, world);
  write_missing_events(state, world);
  // What waited before it waits no more: it was for good, or pending.json would be of it.
  if (record_prepared(state, kernel, world)) clear_pending(state, kernel, world);
}

Result<void> clear_interrupted(const std::string& state_directory, const World& world) {
  const auto opened = open_to_write(state_directory, world);
  return opened ? Result<void>() : std::unexpected(opened.error());
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
