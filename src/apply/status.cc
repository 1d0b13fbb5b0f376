#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/kernel.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {

using ruleset::Snapshot;
using ruleset::Table;

namespace {

// Our table and, where they are asked for, the others without their sets' elements, which are not
// needed and may be a million.
Result<ruleset::Ruleset> read_tables(Kernel& kernel, bool others) {
  const Result<std::vector<Table>> there = kernel.tables();
  if (!there) return std::unexpected(there.error());
  ruleset::Ruleset all;
  for (const Table& each : *there) {
    if (!is_own(each) && !others) continue;
    Result<std::optional<Table>> read =
        kernel.read_table(each.family, each.name, {.any = is_own(each)});
    if (!read) return std::unexpected(std::move(read).error());
    if (*read) all.tables.push_back(std::move(**read));
  }
  return all;
}

}  // namespace

Result<Status> status(const std::string& state_directory,
                      const std::optional<observe::Surroundings>& around, const World& world) {
  const Result<std::optional<Generation>> current = current_generation(state_directory);
  if (!current) return std::unexpected(current.error());
  const std::optional<Generation>& recorded = *current;
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Result<ruleset::Ruleset> dumped = read_tables(**kernel, around.has_value());
  if (!dumped) return std::unexpected(dumped.error());
  const auto own = std::ranges::find_if(dumped->tables, ruleset::is_own);
  const Table* live = own == dumped->tables.end() ? nullptr : &*own;

  Status status;
  status.table_present = live != nullptr;
  if (live != nullptr) {
    const Size size = size_of(*live);
    status.rules = size.rules;
    status.sets = size.sets;
    status.elements = size.elements;
    for (const ruleset::Set& set : live->sets) {
      if (ruleset::own::holds_bans(set.name)) status.bans += set.elements.count();
      if (ruleset::own::holds_openings(set.name)) status.openings += set.elements.count();
    }
  }
  auto pending = waiting(state_directory, world);
  if (!pending) return std::unexpected(std::move(pending).error());
  status.pending = std::move(*pending);
  auto rolled_back = read_rolled_back(state_directory);
  if (!rolled_back) return std::unexpected(std::move(rolled_back).error());
  status.rolled_back = std::move(*rolled_back);
  if (around) {
    status.survey = observe::survey(
        *dumped, live, recorded ? recorded->snapshot.sources : ruleset::SourceMap(), *around);
  }
  const std::string table =
      fmt::format("table {} {}", name_of(ruleset::kOwnFamily), ruleset::kOwnTable);
  if (!recorded) {
    if (live != nullptr)
      status.drift.push_back(table + " is in the kernel, but no apply is recorded");
    return status;
  }
  const Generation& generation = *recorded;
  status.generation = generation.applied.generation;
  status.applied_at = generation.applied.at;
  status.host = generation.applied.host;
  status.same_boot = is_of(generation.applied, world);
  const Result<const Table*> wanted = own_table(generation.snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  if (live != nullptr) {
    std::vector<ChangeItem> items = in_words(*live, difference(*live, **wanted, IdleJumps::Stay));
    const std::size_t most = std::min(items.size(), kMaxDrift);
    for (std::size_t i = 0; i < most; ++i) status.drift.push_back(as_drift(items[i]));
    if (items.size() > most) {
      status.drift.push_back(fmt::format("and {} other differences", items.size() - most));
    }
  } else {
    status.drift.push_back(table + " is not in the kernel");
  }
  return status;
}

Result<bool> disable(const std::string& state_directory, const World& world, GuardCall* guard) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  TRY(ask_before(**kernel, nullptr, guard));
  // First, so that a boot in between finds nothing to load, and nothing comes back later.
  const Result<bool> forgotten = state->forget_current();
  if (!forgotten) return std::unexpected(forgotten.error());
  TRY(disarm(*state));
  const Result<bool> removed = remove_table(**kernel);
  if (!removed) return std::unexpected(removed.error());
  return *removed || *forgotten;
}

Result<std::optional<Snapshot>> last_applied(const std::string& state_directory) {
  Result<std::optional<Generation>> read = current_generation(state_directory);
  if (!read) return std::unexpected(std::move(read).error());
  std::optional<Generation>& current = *read;
  if (!current) return std::nullopt;
  return std::move(current->snapshot);
}

}  // namespace rolewall::apply
