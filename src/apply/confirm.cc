#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/kernel.h"
#include "apply/notice.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

// A directory that one writer holds, and the kernel.
struct Open {
  StateDirectory state;
  std::unique_ptr<Kernel> kernel;
};

Result<Open> open_both(const std::string& state_directory, const World& world) {
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  return Open{std::move(*state), std::move(*kernel)};
}

Result<std::optional<Generation>> read_optional(const std::string& directory,
                                                std::optional<std::uint32_t> generation) {
  if (!generation) return std::nullopt;
  Result<Generation> read = read_generation(directory, *generation);
  if (!read) return std::unexpected(std::move(read).error());
  return std::move(*read);
}

// What was in force before `current`.
Result<std::uint32_t> before(const std::string& directory, std::optional<std::uint32_t> current) {
  const auto events = read_events(directory);
  if (!events) return std::unexpected(events.error());
  if (const auto older = in_force_before(events->all, current)) return *older;
  if (!current) {
    return fail(ErrorKind::Refused, "nothing was applied: there is nothing to go back to");
  }
  return fail(ErrorKind::Refused,
              fmt::format("nothing was in force before generation {}: there is none to go back to "
                          "(`rolewall disable` removes the table, `rolewall rollback --to N` "
                          "goes to one that `rolewall history` lists)",
                          *current));
}

// What waits is the kernel's table still; where that is gone, it comes back and waits on.
Result<Confirmed> look(const World& world, Open& open, const Pending& pending) {
  const Result<Generation> waits = read_generation(open.state.path(), pending.generation);
  if (!waits) return std::unexpected(waits.error());
  const auto wanted = own_table(waits->snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  const auto live = open.kernel->read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {});
  if (!live) return std::unexpected(live.error());
  if (!*live) {
    const auto put = put_back(world, *open.kernel, *waits, open.state.path());
    if (!put) return std::unexpected(put.error());
    note_in_kernel(world, open.state, waits->applied, {.generation = put->kernel_generation});
    return Confirmed{Confirmation::PutBack, pending, put->problems};
  }
  if (!difference(**live, **wanted, IdleJumps::Stay).empty()) {
    return fail(ErrorKind::Refused,
                fmt::format("what is in force is not generation {}: another program changed it "
                            "(`rolewall status`). Nothing was confirmed: `rolewall apply --confirm "
                            "TIME` puts it right; otherwise it is rolled back at {}",
                            pending.generation, pending.deadline));
  }
  return Confirmed{Confirmation::Confirmed, {}, {}};
}

Result<void> ask_before_going_back(Kernel& kernel, const std::optional<Generation>& former,
                                   GuardCall* guard) {
  if (!former) return ask_before(kernel, nullptr, guard);
  const auto table = own_table(former->snapshot);
  if (!table) return std::unexpected(table.error());
  return ask_before(kernel, *table, guard);
}

}  // namespace

Result<Confirmed> confirm(const std::string& state_directory, const World& world) {
  Result<Open> open = open_both(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  StateDirectory& state = open->state;
  const auto overdue = end_what_is_over(world, state, *open->kernel);
  if (!overdue) return std::unexpected(overdue.error());
  const auto pending = waiting(state.path(), world);
  if (!pending) return std::unexpected(pending.error());
  if (!*pending) {
    const auto events = read_events(state.path());
    if (!events) return std::unexpected(events.error());
    const bool too_late = last_taken_back(events->all).has_value();
    return Confirmed{too_late ? Confirmation::TooLate : Confirmation::NothingPending, {}, {}};
  }
  // A tool that died between commit and record has left no current generation that waits.
  const std::uint32_t generation = (*pending)->generation;
  const auto current = current_number(state.path());
  if (!current) return std::unexpected(current.error());
  if (*current != generation) {
    return fail(ErrorKind::Refused,
                fmt::format("generation {} did not come into force whole: apply it again, or wait "
                            "for the rollback at {}",
                            generation, (*pending)->deadline));
  }
  Result<Confirmed> looked = look(world, *open, **pending);
  if (!looked || looked->what != Confirmation::Confirmed) return looked;
  // The history first, which is all that may find no room.
  Event event = event_now(world, EventKind::Confirmed);
  event.from = generation;
  event.to = generation;
  TRY(state.append(event));
  TRY(state.make_boot(generation));
  TRY(disarm(state));
  return looked;
}

Result<TakenBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                           const World& world, GuardCall* guard) {
  Result<Open> open = open_both(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  StateDirectory& state = open->state;
  auto overdue = end_what_is_over(world, state, *open->kernel);
  if (!overdue) return std::unexpected(std::move(overdue).error());
  if (*overdue && !to) return std::move(**overdue);
  std::vector<std::string> problems;
  auto pending = waiting(state.path(), world);
  if (!pending) {
    problems.push_back(
        "cannot tell whether an apply waits for its confirmation, so none is taken to wait: " +
        pending.error().message);
    pending = std::nullopt;
  }
  const auto current = current_number(state.path());
  if (!current) return std::unexpected(current.error());
  Event event = event_now(world, EventKind::RolledBack);
  event.from = *pending ? (*pending)->generation : *current;
  event.named = to && !*pending;
  event.why = "by rolewall rollback";
  std::optional<std::uint32_t> target = to;
  if (!to && *pending) {
    target = (*pending)->former;
  } else if (!to) {
    const auto older = before(state.path(), *current);
    if (!older) return std::unexpected(older.error());
    target = *older;
  }
  const auto former = read_optional(state.path(), target);
  if (!former) return std::unexpected(former.error());
  TRY(ask_before_going_back(*open->kernel, *former, guard));
  auto done = restore(world, state, *open->kernel, std::move(event), *former);
  if (done) done->problems.insert(done->problems.begin(), problems.begin(), problems.end());
  return done;
}

Result<std::optional<TakenBack>> rollback_expired(const std::string& state_directory,
                                                  const World& world) {
  // Before the lock, which would make a directory.
  const auto pending = waiting(state_directory, world);
  if (!pending) return std::unexpected(pending.error());
  if (!*pending || !is_overdue(**pending, world)) return std::nullopt;
  Result<Open> open = open_both(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  auto done = end_what_is_over(world, open->state, *open->kernel);
  if (done && *done) give_notice(in_words(**done), own_terminal());
  return done;
}

Result<History> history(const std::string& state_directory, const World& world) {
  History history;
  auto kept = list_kept(state_directory);
  if (!kept) return std::unexpected(std::move(kept).error());
  history.generations = std::move(kept->applied);
  for (const Kept::Unreadable& each : kept->unreadable) {
    history.problems.push_back(
        fmt::format("generation {} cannot be read: {}", each.generation, each.why));
  }
  if (auto events = read_events(state_directory)) {
    history.events = std::move(events->all);
    if (events->damaged != 0) {
      history.problems.push_back(
          fmt::format("{} of {} are damaged and left out", events->damaged, kHistoryFile));
    }
  } else {
    history.problems.push_back(events.error().message);
  }
  const auto take = [&](auto& where, auto read) {
    if (read) {
      where = std::move(*read);
    } else {
      history.problems.push_back(read.error().message);
    }
  };
  take(history.current, current_number(state_directory));
  take(history.boot, boot_number(state_directory));
  take(history.pending, waiting(state_directory, world));
  return history;
}

}  // namespace rolewall::apply
