// Back by hand: `rollback` to what was in force before, `disable` to no table at all. Both may wait
// for a confirmation; what comes back without one is what was confirmed last.
#include <fmt/format.h>

#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/kernel.h"
#include "apply/notice.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

// What was in force before `current`.
Result<std::uint32_t> before(const std::string& directory, Number current) {
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

Result<void> ask_before_going_back(Kernel& kernel, const std::optional<Generation>& former,
                                   GuardCall* guard) {
  if (!former) return ask_before(kernel, nullptr, guard);
  const auto table = own_table(former->snapshot);
  if (!table) return std::unexpected(table.error());
  return ask_before(kernel, *table, guard);
}

std::string why_unrecorded(const Result<void>& written) {
  return written ? "" : "it is not recorded in the history: " + written.error().message;
}

// Where pending.json cannot be read: what is in force and not what a boot would load, nobody has
// confirmed.
std::optional<Pending> waiting_by_links(const std::string& directory, Number current,
                                        const World& world) {
  const auto confirmed = boot_number(directory);
  if (!confirmed || *confirmed == current) return std::nullopt;
  Pending pending;
  pending.generation = current;
  pending.former = *confirmed;
  pending.boot_id = world.boot_id();
  return pending;
}

// That what waits is over, before another event that follows from it; "" or why it is not recorded.
std::string record_end_of(const Pending& pending, Number confirmed, std::string why,
                          const World& world, StateDirectory& state) {
  Event event = event_now(world, EventKind::RolledBack);
  event.from = pending.generation;
  event.to = confirmed;
  event.why = std::move(why);
  return why_unrecorded(state.append(event));
}

// What a timer returns to.
Number confirmed_last(const std::optional<Pending>& pending, Number current) {
  return pending ? pending->former : current;
}

Result<Pending> arm_return_to(const World& world, StateDirectory& state, Number generation,
                              Number former, std::chrono::seconds within) {
  const auto read = read_former(state.path(), former);
  if (!read) return std::unexpected(read.error());
  return arm(world, state, generation, *read, within);
}

// One `disable`.
class Disabling {
 public:
  Disabling(const World& world, Writer& open, std::optional<std::chrono::seconds> within)
      : world_(world), state_(open.state), kernel_(*open.kernel), within_(within) {}

  Result<Disabled> run() {
    const auto current = current_number(state_.path());
    if (current) current_ = *current;
    done_.was_there = !current || *current;  // what cannot be read, too
    if (const auto pending = read_pending(state_.path())) {
      earlier_ = *pending;
    } else {
      done_.problems.push_back(pending.error().message);
      earlier_ = waiting_by_links(state_.path(), current_, world_);
    }
    if (within_) TRY(arm_timer());
    if (const auto recorded = record(current.has_value()); !recorded) {
      return std::unexpected(recorded.error());
    }
    const Result<bool> removed = remove_table(kernel_);
    if (!removed) return std::unexpected(removed.error());
    done_.was_there = done_.was_there || *removed;
    return std::move(done_);
  }

 private:
  // In force when it is done, if nobody confirms.
  Number confirmed() const {
    if (earlier_ && earlier_->boot_id != world_.boot_id()) {
      return boot_number(state_.path()).value_or(std::nullopt);
    }
    return confirmed_last(earlier_, current_);
  }

  Result<void> arm_timer() {
    const Number former = confirmed();
    if (!former) {
      const auto live = kernel_.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
      if (!live) return std::unexpected(live.error());
      if (!*live) return {};
      return fail(ErrorKind::Refused,
                  "no generation is recorded that could come back without a confirmation: nothing "
                  "was changed. `rolewall disable` without --confirm removes the table for good");
    }
    auto armed = arm_return_to(world_, state_, std::nullopt, former, *within_);
    if (!armed) return std::unexpected(std::move(armed).error());
    done_.pending = std::move(*armed);
    return {};
  }

  // The record first, so that a boot in between finds nothing to load, and nothing comes back
  // later; nor what nobody has confirmed. A disk that is full keeps nobody from taking the table
  // away.
  Result<void> record(bool current_is_known) {
    const bool is_removed = earlier_ && !earlier_->generation && !current_ && done_.pending;
    Event event = event_now(world_, EventKind::Disabled);
    event.from = current_;
    event.waits = done_.pending.has_value();
    if (earlier_ && !is_removed) {
      event.from = confirmed();
      say(record_end_of(*earlier_, event.from, "by rolewall disable", world_, state_));
    }
    if ((event.from || !current_is_known) && !is_removed) say(why_unrecorded(state_.append(event)));
    if (!event.waits) TRY(state_.make_boot(std::nullopt));
    TRY(state_.make_current(std::nullopt));
    return event.waits ? Result<void>() : disarm(state_);
  }

  void say(std::string problem) {
    if (!problem.empty()) done_.problems.push_back(std::move(problem));
  }

  const World& world_;
  StateDirectory& state_;
  Kernel& kernel_;
  std::optional<std::chrono::seconds> within_;
  std::optional<Pending> earlier_;
  Number current_;
  Disabled done_;
};

}  // namespace

Result<TakenBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                           const World& world, GuardCall* guard,
                           std::optional<std::chrono::seconds> confirm_within) {
  Result<Writer> open = open_to_write(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  StateDirectory& state = open->state;
  auto overdue = end_what_is_over(world, state, *open->kernel);
  if (!overdue) return std::unexpected(std::move(overdue).error());
  if (*overdue && !to) return std::move(**overdue);
  std::vector<std::string> problems;
  const auto current = current_number(state.path());
  if (!current) return std::unexpected(current.error());
  const auto read = waiting(state.path(), world);
  if (!read) problems.push_back(read.error().message);
  const std::optional<Pending> pending =
      read ? *read : waiting_by_links(state.path(), *current, world);
  Number target = to;
  if (!to && pending) {
    target = pending->former;
  } else if (!to) {
    const auto older = before(state.path(), *current);
    if (!older) return std::unexpected(older.error());
    target = *older;
  }
  const auto former = read_former(state.path(), target);
  if (!former) return std::unexpected(former.error());
  TRY(ask_before_going_back(*open->kernel, *former, guard));
  const Number confirmed = confirmed_last(pending, *current);
  Event event = event_now(world, EventKind::RolledBack);
  // Past what was confirmed, and what waits is no state to return to.
  const bool further = to && pending && target != confirmed;
  event.from = further ? confirmed : pending ? pending->generation : *current;
  event.named = to && (!pending || further);
  event.waits = confirm_within && target != confirmed;
  event.why = "by rolewall rollback";
  std::optional<Pending> armed;
  if (event.waits) {
    auto timer = arm_return_to(world, state, target, confirmed, *confirm_within);
    if (!timer) return std::unexpected(std::move(timer).error());
    armed = std::move(*timer);
  }
  auto put = put_back(world, *open->kernel, *former, state.path());
  if (!put) {
    if (armed) TRY(arm_again(state, read ? *read : std::nullopt));
    return std::unexpected(std::move(put).error());
  }
  if (further) {
    std::string problem = record_end_of(*pending, confirmed, event.why, world, state);
    if (!problem.empty()) problems.push_back(std::move(problem));
  }
  problems.insert(problems.end(), put->problems.begin(), put->problems.end());
  put->problems = std::move(problems);
  auto done = record_return(world, state, std::move(event), *former, std::move(*put));
  if (!done) return done;
  done->pending = std::move(armed);
  if (*former) {
    const auto table = own_table((*former)->snapshot);
    done->audits = table && is_in_audit_mode(**table);
  }
  return done;
}

Result<std::optional<TakenBack>> rollback_expired(const std::string& state_directory,
                                                  const World& world) {
  // Before the lock, which would make a directory.
  const auto pending = waiting(state_directory, world);
  if (!pending) return std::unexpected(pending.error());
  if (!*pending || !is_overdue(**pending, world)) return std::nullopt;
  Result<Writer> open = open_to_write(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  auto done = end_what_is_over(world, open->state, *open->kernel);
  if (done && *done) give_notice(in_words(**done), own_terminal());
  return done;
}

Result<Disabled> disable(const std::string& state_directory, const World& world, GuardCall* guard,
                         std::optional<std::chrono::seconds> confirm_within) {
  Result<Writer> open = open_to_write(state_directory, world);
  if (!open) return std::unexpected(std::move(open).error());
  TRY(ask_before(*open->kernel, nullptr, guard));
  return Disabling(world, *open, confirm_within).run();
}

}  // namespace rolewall::apply
