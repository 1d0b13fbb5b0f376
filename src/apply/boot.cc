#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/kernel.h"
#include "apply/restore.h"
#include "apply/state_directory.h"

namespace rolewall::apply {
namespace {

// What waited when the machine went down is gone for good.
Result<std::optional<std::uint32_t>> drop_unconfirmed(StateDirectory& state,
                                                      std::optional<std::uint32_t> boot,
                                                      const World& world) {
  const auto pending = read_pending(state.path());
  if (!pending) return std::unexpected(pending.error());
  if (!*pending) return std::nullopt;
  const std::uint32_t generation = (*pending)->generation;
  TRY(state.write(kRolledBackFile,
                  to_json(RolledBack{.generation = generation,
                                     .to = boot,
                                     .at = clock_time(world),
                                     .why = "the machine was restarted before it was confirmed"})));
  if (boot) {
    TRY(state.make_current(*boot));
  } else {
    TRY(state.forget_current());
  }
  TRY(disarm(state));
  return generation;
}

}  // namespace

Result<Booted> boot(const std::string& state_directory, const World& world, GuardCall* guard) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  const auto pending = waiting(state->path(), world);
  if (!pending) return std::unexpected(pending.error());
  if (*pending) {
    return fail(ErrorKind::Refused, "an apply made since this boot waits for `rolewall confirm`");
  }
  const auto number = boot_number(state->path());
  if (!number) return std::unexpected(number.error());
  Booted booted;
  const auto unconfirmed = drop_unconfirmed(*state, *number, world);
  if (!unconfirmed) return std::unexpected(unconfirmed.error());
  booted.unconfirmed = *unconfirmed;
  if (!*number) return booted;
  const Result<std::optional<Generation>> confirmed = boot_generation(state->path());
  if (!confirmed) return std::unexpected(confirmed.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const auto table = own_table((*confirmed)->snapshot);
  if (!table) return std::unexpected(table.error());
  TRY(ask_before(**kernel, *table, guard));
  const auto generation = put_back(world, **kernel, *confirmed, state->path());
  if (!generation) return std::unexpected(generation.error());
  Applied applied = (*confirmed)->applied;
  applied.boot_id = world.boot_id();
  applied.network_namespace = world.network_namespace();
  applied.mark = {.generation = *generation};
  booted.generation = applied.generation;
  TRY(state->make_current(applied.generation));
  TRY(state->note(applied));
  return booted;
}

Result<Outcome> put_unrecorded(const ruleset::Snapshot& snapshot, const World& world) {
  const auto table = own_table(snapshot);
  if (!table) return std::unexpected(table.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  auto committed = commit(world, **kernel, **table, {});
  if (!committed) return std::unexpected(std::move(committed).error());
  if (!committed->refusals.empty()) return Outcome{.refusals = std::move(committed->refusals)};
  Report report;
  report.plan = std::move(committed->plan);
  report.rules = committed->size.rules;
  return Outcome{.report = std::move(report)};
}

}  // namespace rolewall::apply
