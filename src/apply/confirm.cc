#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/kernel.h"
#include "apply/notice.h"
#include "apply/restore.h"
#include "apply/state_directory.h"

namespace rolewall::apply {
namespace {

Result<std::optional<Generation>> read_optional(const std::string& directory,
                                                std::optional<std::uint32_t> generation) {
  if (!generation) return std::nullopt;
  Result<Generation> read = read_generation(directory, *generation);
  if (!read) return std::unexpected(std::move(read).error());
  return std::move(*read);
}

// The newest that is older than `current`.
Result<std::uint32_t> before(const std::string& directory, std::uint32_t current) {
  const auto all = list_applied(directory);
  if (!all) return std::unexpected(all.error());
  std::optional<std::uint32_t> newest;
  for (const Applied& applied : *all) {
    if (applied.generation < current) newest = applied.generation;
  }
  if (!newest) {
    return fail(
        ErrorKind::Refused,
        fmt::format("generation {} is the oldest one kept: there is no earlier one to go back to "
                    "(`rolewall disable` removes the table)",
                    current));
  }
  return *newest;
}

Result<void> ask_before_going_back(Kernel& kernel, const std::optional<Generation>& former,
                                   GuardCall* guard) {
  if (!former) return ask_before(kernel, nullptr, guard);
  const auto table = own_table(former->snapshot);
  if (!table) return std::unexpected(table.error());
  return ask_before(kernel, *table, guard);
}

}  // namespace

Result<Confirmation> confirm(const std::string& state_directory, const World& world) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  const auto pending = waiting(state->path(), world);
  if (!pending) return std::unexpected(pending.error());
  if (!*pending) {
    const auto rolled_back = read_rolled_back(state->path());
    if (!rolled_back) return std::unexpected(rolled_back.error());
    return *rolled_back ? Confirmation::TooLate : Confirmation::NothingPending;
  }
  // A tool that died between commit and record has left no current generation that waits.
  const auto current = current_number(state->path());
  if (!current) return std::unexpected(current.error());
  if (*current != (*pending)->generation) {
    return fail(
        ErrorKind::Refused,
        fmt::format("the apply of generation {} was interrupted: apply again, or wait for the "
                    "rollback at {}",
                    (*pending)->generation, (*pending)->deadline));
  }
  TRY(state->make_boot((*pending)->generation));
  TRY(disarm(*state));
  return Confirmation::Confirmed;
}

Result<RolledBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                            const World& world, GuardCall* guard) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  const auto pending = waiting(state->path(), world);
  if (!pending) return std::unexpected(pending.error());
  const auto current = current_number(state->path());
  if (!current) return std::unexpected(current.error());
  const std::uint32_t from = *pending ? (*pending)->generation : current->value_or(0);
  if (from == 0) {
    return fail(ErrorKind::Refused, "nothing is applied: there is nothing to roll back");
  }
  std::optional<std::uint32_t> target = to;
  if (!to && *pending) {
    target = (*pending)->former;
  } else if (!to) {
    const auto older = before(state->path(), from);
    if (!older) return std::unexpected(older.error());
    target = *older;
  }
  const auto former = read_optional(state->path(), target);
  if (!former) return std::unexpected(former.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  TRY(ask_before_going_back(**kernel, *former, guard));
  return restore(world, *state, **kernel, from, *former, "by rolewall rollback");
}

Result<std::optional<RolledBack>> rollback_expired(const std::string& state_directory,
                                                   const World& world) {
  const auto over = [&]() -> Result<std::optional<Pending>> {
    Result<std::optional<Pending>> pending = waiting(state_directory, world);
    if (pending && *pending && (*pending)->deadline_ns > world.boot_ns()) return std::nullopt;
    return pending;
  };
  // Before the lock, which would make a directory.
  auto pending = over();
  if (!pending) return std::unexpected(std::move(pending).error());
  if (!*pending) return std::nullopt;
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  pending = over();
  if (!pending) return std::unexpected(std::move(pending).error());
  if (!*pending) return std::nullopt;
  const auto former = read_optional(state->path(), (*pending)->former);
  if (!former) return std::unexpected(former.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  auto done = restore(world, *state, **kernel, (*pending)->generation, *former,
                      "not confirmed by " + (*pending)->deadline);
  if (!done) return std::unexpected(std::move(done).error());
  give_notice(in_words(*done) + what_is_lost(**kernel, *former), own_terminal());
  return std::move(*done);
}

Result<History> history(const std::string& state_directory, const World& world) {
  History history;
  auto generations = list_applied(state_directory);
  if (!generations) return std::unexpected(std::move(generations).error());
  history.generations = std::move(*generations);
  const auto current = current_number(state_directory);
  if (!current) return std::unexpected(current.error());
  const auto boot = boot_number(state_directory);
  if (!boot) return std::unexpected(boot.error());
  auto pending = waiting(state_directory, world);
  if (!pending) return std::unexpected(std::move(pending).error());
  history.current = *current;
  history.boot = *boot;
  history.pending = std::move(*pending);
  return history;
}

}  // namespace rolewall::apply
