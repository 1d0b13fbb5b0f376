// Back by hand: `rollback` to what was in force before, `disable` to no table at all. Both may wait
// for a confirmation; what comes back without one is what was confirmed last.
#include <fmt/format.h>

#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/elsewhere.h"
#include "apply/interrupted.h"
#include "apply/kernel.h"
#include "apply/notice.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "apply/waiting.h"
#include "apply/way_back.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

std::unexpected<Error> nothing_applied() {
  return fail(ErrorKind::Refused, "nothing was applied: there is nothing to go back to");
}

std::unexpected<Error> refuse_what_waits(std::uint32_t generation) {
  return fail(ErrorKind::Refused,
              fmt::format("generation {} is in force and waits for its confirmation: nothing was "
                          "changed. `rolewall confirm` keeps it, `rolewall rollback` undoes it",
                          generation));
}

// Where it goes without a number; an error where somebody has to say it.
Result<Number> where_to(const std::string& directory, Number current,
                        const std::optional<Pending>& pending) {
  const WayBack way = way_back(directory, current, pending);
  if (way.is_there && way.why_named.empty()) return way.to;
  if (!way.why_named.empty()) {
    return fail(
        ErrorKind::Refused,
        fmt::format("{}: nothing was changed. {}", way.why_named,
                    way.is_there ? fmt::format("`rolewall {}` goes back further", way.command())
                                 : std::string("`rolewall rollback --to N` goes to one "
                                               "that `rolewall history` lists")));
  }
  if (!current) return nothing_applied();
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

// An error where a table is there that no generation says: it could not come back.
Result<void> nothing_unrecorded(Kernel& kernel) {
  const auto live = kernel.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
  if (!live) return std::unexpected(live.error());
  if (!*live) return {};
  return fail(ErrorKind::Refused,
              "no generation is recorded that could come back without a confirmation: nothing "
              "was changed. `rolewall disable` without --confirm removes the table for good");
}

// It is done in the kernel, and the record says otherwise: what that means.
Error not_recorded_where(Error why, const std::optional<Pending>& waits,
                         const std::string& directory) {
  std::string then;
  const auto boots = boot_number(directory);
  if (waits && has_deadline(*waits)) {
    then = fmt::format(
        "; once the time of {} is over, at {}, {} is in force again", name_of_waiting(*waits),
        waits->deadline,
        waits->former ? fmt::format("generation {}", *waits->former) : std::string("no table"));
  }
  if (boots) {
    then += fmt::format("; a boot loads {}",
                        *boots ? fmt::format("generation {}", **boots) : std::string("nothing"));
  }
  why.message = fmt::format("it is done, but not recorded: {}{}", why.message, then);
  return why;
}

// `rollback` and `disable` on a state directory that can be read alone.
class Unrecorded {
 public:
  Unrecorded(const World& world, const std::string& directory, GuardCall* guard, Error why)
      : world_(world), directory_(directory), guard_(guard), why_(std::move(why)) {}

  Result<TakenBack> roll_back(Number to) {
    TRY(look());
    const auto current = current_number(directory_);
    if (!current) return std::unexpected(current.error());
    if (to && waits_ && waits_->generation == to) return refuse_what_waits(*to);
    // What waited before a boot, the boot has ended: it has loaded what was confirmed.
    const std::optional<Pending> waited = whatever_waits(directory_).pending;
    const auto boots = boot_number(directory_);
    if (!to && boots && waited && waited->boot_id != world_.boot_id()) {
      to = *boots;
    } else if (!to) {
      const auto where = where_to(directory_, *current, waits_);
      if (!where) return std::unexpected(where.error());
      to = *where;
    }
    Event event = event_now(world_, EventKind::RolledBack);
    event.from = waits_ ? waits_->generation : *current;
    event.why = "by rolewall rollback";
    return go_to(to, std::move(event), /*asks=*/true);
  }

  // std::nullopt where it is as it should be: the process that waits needs no record.
  Result<std::optional<TakenBack>> end_what_is_over() {
    TRY(look());
    // A table that is gone was taken away since, by `disable` perhaps.
    if (!waits_ || !is_overdue(*waits_, world_)) return std::nullopt;
    if (waits_->generation && !has_table_) return std::nullopt;
    const WayBack way = way_back(directory_, waits_->generation, waits_);
    if (!way.is_there) return fail(ErrorKind::Io, way.why_named);
    Event event = event_now(world_, EventKind::Expired);
    event.from = waits_->generation;
    event.why = "not confirmed by " + waits_->deadline;
    auto done = go_to(way.to, std::move(event), /*asks=*/false);
    if (!done) return std::unexpected(std::move(done).error());
    if (!done->was_changed) return std::nullopt;
    return std::move(*done);
  }

  Result<Disabled> disable() {
    TRY(look());
    TRY(ask_before(*kernel_, nullptr, guard_));
    const Result<bool> removed = remove_table(*kernel_);
    if (!removed) return std::unexpected(removed.error());
    Disabled done{.was_there = *removed, .problems = {}, .pending = {}};
    const auto boots = boot_number(directory_);
    const bool is_over = *removed || waits_ || !boots || *boots;
    if (is_over) done.unrecorded = not_recorded_where(why_, what_comes_back(), directory_);
    return done;
  }

 private:
  Result<void> look() {
    TRY(check_format(directory_));
    TRY(refuse_elsewhere(directory_, world_));
    auto kernel = world_.open_kernel();
    if (!kernel) return std::unexpected(std::move(kernel).error());
    kernel_ = std::move(*kernel);
    waits_ = what_waits(directory_, world_).pending;
    if (!waits_) return {};
    const auto live = kernel_->read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {});
    if (!live) return std::unexpected(live.error());
    has_table_ = live->has_value();
    if (const auto other =
            waits_in_place_of(directory_, *waits_, *live ? &**live : nullptr, world_)) {
      waits_ = *other;
    }
    return {};
  }

  // By the process that waits, which has done its work where the time is over.
  std::optional<Pending> what_comes_back() const {
    return waits_ && !is_overdue(*waits_, world_) ? waits_ : std::nullopt;
  }

  Result<TakenBack> go_to(Number to, Event event, bool asks) {
    const auto former = read_former(directory_, to);
    if (!former) return std::unexpected(former.error());
    if (asks) TRY(ask_before_going_back(*kernel_, *former, guard_));
    auto put = put_back(world_, *kernel_, *former, directory_);
    if (!put) return std::unexpected(std::move(put).error());
    TakenBack done;
    done.event = std::move(event);
    done.event.to = to;
    done.was_changed = put->changed;
    done.problems = std::move(put->problems);
    // What the timer would bring back is there.
    const bool comes_back = waits_ && waits_->former != to;
    done.unrecorded =
        not_recorded_where(why_, comes_back ? what_comes_back() : std::nullopt, directory_);
    if (!*former) return done;
    const auto table = own_table((*former)->snapshot);
    done.audits = table && is_in_audit_mode(**table);
    return done;
  }

  const World& world_;
  const std::string& directory_;
  GuardCall* guard_;
  Error why_;
  std::unique_ptr<Kernel> kernel_;
  std::optional<Pending> waits_;
  bool has_table_ = false;
};

std::unexpected<Error> nobody_would_return(Error why) {
  why.message = "the rollback cannot be armed, and nothing was changed: " + why.message +
                ". Without --confirm it is done at once";
  return std::unexpected(std::move(why));
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
    Waiting waiting = whatever_waits(state_.path());
    say(std::move(waiting.problem));
    earlier_ = std::move(waiting.pending);
    if (within_) TRY(arm_timer());
    // Then the record: what failed is no event.
    const Result<bool> removed = remove_table(kernel_);
    if (!removed) {
      if (done_.pending) TRY(arm_again(state_, earlier_));
      return std::unexpected(removed.error());
    }
    done_.was_there = done_.was_there || *removed;
    const bool is_known = current.has_value();
    const auto recorded = done_.pending ? record_waiting(is_known) : record_for_good(is_known);
    if (!recorded)
      done_.unrecorded = not_recorded_where(recorded.error(), done_.pending, state_.path());
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
    if (!former) return nothing_unrecorded(kernel_);
    auto armed = arm_return_to(world_, state_, std::nullopt, former, *within_);
    if (!armed) return std::unexpected(std::move(armed).error());
    done_.pending = std::move(*armed);
    return {};
  }

  // A boot finds nothing to load, and nothing comes back later; nor what nobody has confirmed. A
  // disk that is full keeps nobody from taking the table away.
  Result<void> record_for_good(bool current_is_known) {
    TRY(state_.make_current(std::nullopt));
    append(end_earlier(), false, current_is_known);
    TRY(make_boot(std::nullopt));
    return disarm(state_);
  }

  // What comes back is what a boot loads, too: the record may still name one that is damaged.
  Result<void> record_waiting(bool current_is_known) {
    const bool is_removed = earlier_ && !earlier_->generation && !current_;
    if (is_removed) return state_.make_current(std::nullopt);  // its time alone is set anew
    TRY(state_.make_current(std::nullopt));
    append(end_earlier(), true, current_is_known);
    return earlier_ ? make_boot(done_.pending->former) : Result<void>();
  }

  // What waits is over; then what was confirmed is what this takes away.
  Number end_earlier() {
    if (!earlier_) return current_;
    const Number from = confirmed();
    say(record_end_of(*earlier_, from, "by rolewall disable", world_, state_));
    return from;
  }

  void append(Number from, bool waits, bool current_is_known) {
    if (!from && current_is_known) return;
    Event event = event_now(world_, EventKind::Disabled);
    event.from = from;
    event.waits = waits;
    event.over_confirmed = waits && !earlier_;
    say(why_unrecorded(state_.append(event)));
  }

  Result<void> make_boot(Number boots) {
    const auto there = boot_number(state_.path());
    return there && *there == boots ? Result<void>() : state_.make_boot(boots);
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

// One `rollback`.
class Rollback {
 public:
  Rollback(const World& world, Writer& open, Number to, GuardCall* guard,
           std::optional<std::chrono::seconds> within)
      : world_(world),
        state_(open.state),
        kernel_(*open.kernel),
        to_(to),
        guard_(guard),
        within_(within) {}

  Result<TakenBack> run() {
    auto overdue = end_what_is_over(world_, state_, kernel_);
    // Where what was confirmed is damaged, one that is named may still be whole.
    if (!overdue && !to_) return std::unexpected(std::move(overdue).error());
    if (overdue && *overdue && !to_) return std::move(**overdue);
    const auto current = current_number(state_.path());
    if (!current) return std::unexpected(current.error());
    current_ = *current;
    Waiting waiting = whatever_waits(state_.path());
    say(std::move(waiting.problem));
    pending_ = std::move(waiting.pending);
    if (pending_ && pending_->generation != current_) {
      const auto waits = waits_in_place_of(state_.path(), *pending_, kernel_, world_);
      if (waits) pending_ = *waits;
    }
    if (to_ && pending_ && pending_->generation == to_) return refuse_what_waits(*to_);
    if (to_ && !pending_ && to_ == current_) {
      const auto boots = boot_number(state_.path());
      if (boots && *boots == to_) return load_again();
    }
    Number target = to_;
    if (!to_) {
      const auto where = where_to(state_.path(), current_, pending_);
      if (!where) return std::unexpected(where.error());
      target = *where;
    }
    return go_to(target);
  }

 private:
  // What is recorded as in force for good; another program may have changed it.
  Result<TakenBack> load_again() {
    const auto there = read_former(state_.path(), to_);
    if (!there) return std::unexpected(there.error());
    TRY(ask_before_going_back(kernel_, *there, guard_));
    auto put = put_back(world_, kernel_, *there, state_.path());
    if (!put) return std::unexpected(std::move(put).error());
    note_in_kernel(world_, state_, (*there)->applied, {.generation = put->kernel_generation});
    TakenBack done;
    done.event = event_now(world_, EventKind::RolledBack);
    done.event.from = to_;
    done.event.to = to_;
    done.was_in_force = true;
    done.was_changed = put->changed;
    for (std::string& problem : put->problems) say(std::move(problem));
    return finish(std::move(done), *there);
  }

  Result<TakenBack> go_to(Number target) {
    const auto former = read_former(state_.path(), target);
    if (!former) return std::unexpected(former.error());
    TRY(ask_before_going_back(kernel_, *former, guard_));
    const Number confirmed = confirmed_last(pending_, current_);
    Event event = event_now(world_, EventKind::RolledBack);
    // Past what was confirmed, and what waits is no state to return to.
    const bool further = to_ && pending_ && target != confirmed;
    event.from = further ? confirmed : pending_ ? pending_->generation : current_;
    event.named = to_ && (!pending_ || further);
    event.waits = within_ && target != confirmed;
    event.over_confirmed = event.waits && !pending_;
    event.why = "by rolewall rollback";
    std::optional<Pending> armed;
    if (event.waits) {
      auto timer = arm_return_to(world_, state_, target, confirmed, *within_);
      if (!timer) return std::unexpected(std::move(timer).error());
      armed = std::move(*timer);
    }
    auto put = put_back(world_, kernel_, *former, state_.path());
    if (!put) {
      if (armed) TRY(arm_again(state_, pending_));
      return std::unexpected(std::move(put).error());
    }
    if (further) say(record_end_of(*pending_, confirmed, event.why, world_, state_));
    for (std::string& problem : put->problems) say(std::move(problem));
    put->problems.clear();
    auto done = record_return(world_, state_, std::move(event), *former, std::move(*put));
    if (!done) return done;
    done->pending = std::move(armed);
    return finish(std::move(*done), *former);
  }

  TakenBack finish(TakenBack done, const std::optional<Generation>& in_force) {
    done.problems = std::move(problems_);
    if (!in_force) return done;
    const auto table = own_table(in_force->snapshot);
    done.audits = table && is_in_audit_mode(**table);
    return done;
  }

  void say(std::string problem) {
    if (!problem.empty()) problems_.push_back(std::move(problem));
  }

  const World& world_;
  StateDirectory& state_;
  Kernel& kernel_;
  Number to_;
  GuardCall* guard_;
  std::optional<std::chrono::seconds> within_;
  Number current_;
  std::optional<Pending> pending_;
  std::vector<std::string> problems_;
};

}  // namespace

Result<TakenBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                           const World& world, GuardCall* guard,
                           std::optional<std::chrono::seconds> confirm_within) {
  auto open = open_to_write(state_directory, world);
  if (!open && is_unwritable(open.error())) {
    if (confirm_within) return nobody_would_return(std::move(open).error());
    return Unrecorded(world, state_directory, guard, std::move(open).error()).roll_back(to);
  }
  if (!open) return std::unexpected(std::move(open).error());
  if (!*open) return nothing_applied();
  return Rollback(world, **open, to, guard, confirm_within).run();
}

Result<std::optional<TakenBack>> rollback_expired(const std::string& state_directory,
                                                  const World& world) {
  // Before the lock, for which nobody should wait in vain.
  const Waiting waiting = what_waits(state_directory, world);
  if (!waiting.pending && !waiting.problem.empty()) return fail(ErrorKind::Io, waiting.problem);
  if (!waiting.pending || !is_overdue(*waiting.pending, world)) return std::nullopt;
  auto open = open_to_write(state_directory, world);
  if (!open && is_unwritable(open.error())) {
    return Unrecorded(world, state_directory, nullptr, std::move(open).error()).end_what_is_over();
  }
  if (!open) return std::unexpected(std::move(open).error());
  if (!*open) return std::nullopt;
  auto done = end_what_is_over(world, (*open)->state, *(*open)->kernel);
  if (done && *done) give_notice(in_words(**done), own_terminal());
  return done;
}

Result<Disabled> disable(const std::string& state_directory, const World& world, GuardCall* guard,
                         std::optional<std::chrono::seconds> confirm_within) {
  auto open = open_to_write(state_directory, world);
  if (!open && is_unwritable(open.error())) {
    if (confirm_within) return nobody_would_return(std::move(open).error());
    return Unrecorded(world, state_directory, guard, std::move(open).error()).disable();
  }
  if (!open) return std::unexpected(std::move(open).error());
  if (*open) {
    TRY(ask_before(*(*open)->kernel, nullptr, guard));
    return Disabling(world, **open, confirm_within).run();
  }
  // Somebody has taken the record away, or there never was one: nothing could come back.
  auto kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  TRY(ask_before(**kernel, nullptr, guard));
  if (confirm_within) TRY(nothing_unrecorded(**kernel));
  const Result<bool> removed = remove_table(**kernel);
  if (!removed) return std::unexpected(removed.error());
  return Disabled{.was_there = *removed, .problems = {}, .pending = {}};
}

}  // namespace rolewall::apply
