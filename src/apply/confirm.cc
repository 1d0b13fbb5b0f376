#include <fmt/format.h>

#include <utility>

#include "apply/apply.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/kernel.h"
#include "apply/missing_events.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "apply/waiting.h"
#include "apply/way_back.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

Result<Confirmed> look_whether_it_is_gone(const World& world, Kernel& kernel,
                                          const Pending& pending) {
  const auto live = kernel.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
  if (!live) return std::unexpected(live.error());
  if (!*live) return Confirmed{.what = Confirmation::Confirmed, .is_removal = true};
  return fail(ErrorKind::Refused,
              fmt::format("table inet rolewall was removed and is there again: another program "
                          "made it. Nothing was confirmed: `rolewall disable` removes it; "
                          "otherwise {} is rolled back {}",
                          name_of_waiting(pending), when_over(pending, world)));
}

// What waits is the kernel's table still; where that is gone, it comes back and waits on.
Result<Confirmed> look(const World& world, Writer& open, const Pending& pending) {
  if (!pending.generation) return look_whether_it_is_gone(world, *open.kernel, pending);
  const Result<Generation> waits = read_generation(open.state.path(), *pending.generation);
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
                            "TIME` puts it right; otherwise it is rolled back {}",
                            *pending.generation, when_over(pending, world)));
  }
  return Confirmed{Confirmation::Confirmed, {}, {}};
}

// The directory is gone, or empty. Where a table is in force, somebody has moved it away: what
// waited is not confirmed by that, and will be rolled back.
Result<Confirmed> nothing_recorded(const std::string& directory, const World& world) {
  const auto kernel = world.open_kernel();
  if (!kernel) return std::unexpected(kernel.error());
  const auto live = (*kernel)->read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
  if (!live) return std::unexpected(live.error());
  if (!*live) return Confirmed{Confirmation::NothingPending, {}, {}};
  return fail(ErrorKind::Refused,
              fmt::format("{}: is gone or empty, so it is not known what waits: nothing was "
                          "confirmed. Move it back and confirm then, or run `rolewall apply`",
                          directory));
}

// What is not written down is not confirmed.
std::unexpected<Error> not_confirmed(const std::string& directory, const World& world, Error why) {
  const auto pending = what_waits(directory, world).pending;
  why.message = "nothing can be confirmed: " + why.message;
  if (pending) {
    why.message += fmt::format("; once it can be written, confirm again: {} is rolled back {}",
                               name_of_waiting(*pending), when_over(*pending, world));
  }
  return std::unexpected(std::move(why));
}

}  // namespace

Result<Confirmed> confirm(const std::string& state_directory, const World& world) {
  auto opened = open_to_write(state_directory, world);
  if (!opened && is_unwritable(opened.error()))
    return not_confirmed(state_directory, world, std::move(opened).error());
  if (!opened) return std::unexpected(std::move(opened).error());
  if (!*opened) return nothing_recorded(state_directory, world);
  Writer& open = **opened;
  StateDirectory& state = open.state;
  const auto overdue = end_what_is_over(world, state, *open.kernel);
  if (!overdue) return std::unexpected(overdue.error());
  if (*overdue) return Confirmed{Confirmation::TooLate, {}, {in_words(**overdue)}};
  Waiting waiting = what_waits(state.path(), world);
  std::vector<std::string> problems;
  if (!waiting.problem.empty()) problems.push_back(std::move(waiting.problem));
  const std::optional<Pending>& pending = waiting.pending;
  if (!pending) {
    const auto events = read_events(state.path());
    if (!events) return std::unexpected(events.error());
    const auto taken_back = last_taken_back(events->all);
    Confirmed nothing{Confirmation::NothingPending, {}, std::move(problems)};
    // Once that is confirmed, nothing is left to be too late for.
    if (!taken_back || events->all.back().kind == EventKind::Confirmed) return nothing;
    nothing.what = taken_back->kind == EventKind::RolledBack ? Confirmation::RolledBack
                                                             : Confirmation::TooLate;
    nothing.taken_back = taken_back;
    return nothing;
  }
  // A tool that died between commit and record has left no current generation that waits.
  const std::optional<std::uint32_t> generation = pending->generation;
  const auto current = current_number(state.path());
  if (!current) return std::unexpected(current.error());
  if (*current != generation) {
    return fail(ErrorKind::Refused,
                fmt::format("{} did not come into force whole: do it again, or wait for the "
                            "rollback {}",
                            name_of_waiting(*pending), when_over(*pending, world)));
  }
  Result<Confirmed> looked = look(world, open, *pending);
  if (!looked || looked->what != Confirmation::Confirmed) return looked;
  const auto booted = boot_number(state.path());
  TRY(state.make_boot(generation));
  Event event = event_now(world, EventKind::Confirmed);
  event.from = generation;
  event.to = generation;
  // By the history it would still wait.
  if (const auto told = state.append(event); !told) {
    if (booted) TRY(state.make_boot(*booted));
    return std::unexpected(told.error());
  }
  TRY(disarm(state));
  looked->problems = std::move(problems);
  return looked;
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
  auto events = all_events(state_directory, world);
  std::string of_history = history_problem(state_directory, events);
  if (events) history.events = std::move(events->all);
  const auto take = [&](auto& where, auto read) {
    if (read) {
      where = std::move(*read);
    } else {
      history.problems.push_back(read.error().message);
    }
  };
  take(history.current, current_number(state_directory));
  take(history.boot, boot_number(state_directory));
  Waiting waiting = what_waits(state_directory, world);
  history.pending = std::move(waiting.pending);
  // What was armed and is not recorded as in force is no generation's state; `status` asks the
  // kernel.
  if (history.pending && history.current != history.pending->generation) history.pending.reset();
  for (std::string problem : {std::move(waiting.problem), std::move(of_history)}) {
    if (!problem.empty()) history.problems.push_back(std::move(problem));
  }
  return history;
}

}  // namespace rolewall::apply
