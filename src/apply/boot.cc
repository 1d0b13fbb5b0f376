// What a boot puts in force. One thing decides which ruleset that is: the record of what was
// confirmed last, or, where an apply of this very boot waits for its confirmation, of what waits.
// Only where that record is damaged does the caller fall back. Everything beside it (the lock, what
// is pending, bans, the history, a disk that cannot be written) is taken as far as it goes, and
// what was not is said.
#include <fmt/format.h>

#include <utility>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/commit.h"
#include "apply/elsewhere.h"
#include "apply/interrupted.h"
#include "apply/kernel.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "apply/waiting.h"
#include "apply/way_back.h"

namespace rolewall::apply {
namespace {

class Boot {
 public:
  Boot(const std::string& directory, const World& world, GuardCall* guard)
      : directory_(directory), world_(world), guard_(guard) {}

  Result<Booted> run() {
    TRY(put_in_force());
    return std::move(booted_);
  }

 private:
  Result<void> put_in_force() {
    Result<std::optional<StateDirectory>> opened = StateDirectory::open_existing(directory_);
    if (opened && !*opened) return {};  // nothing was ever applied
    if (opened) {
      state_.emplace(std::move(**opened));
    } else {
      say("nothing can be recorded: " + opened.error().message);
    }
    Result<std::unique_ptr<Kernel>> kernel = world_.open_kernel();
    if (!kernel) return std::unexpected(std::move(kernel).error());
    kernel_ = std::move(*kernel);
    if (const auto known = check_format(directory_); !known) return pass_over(known.error());
    for (std::string& problem : damaged_links(directory_)) say(std::move(problem));
    if (is_elsewhere(directory_, world_)) {
      say(elsewhere_in_words(directory_) + ", and from now on is recorded as in force in this one");
    }
    if (state_) clear_interrupted(*state_, *kernel_, world_);
    const std::optional<Pending> pending = read_what_waits();
    if (pending && pending->boot_id == world_.boot_id()) return put_back_what_waits(*pending);
    const auto number = boot_number(directory_);
    if (!number) return std::unexpected(number.error());
    const auto before = current_number(directory_);
    const auto loaded = *number ? load(**number) : Result<void>();
    // Of a damaged record, what the caller falls back to is an event of its own.
    const bool is_as_it_was = !loaded && (loaded.error().kind == ErrorKind::Refused ||
                                          loaded.error().kind == ErrorKind::System);
    if (pending && !is_as_it_was) drop_unconfirmed(*pending, *number);
    if (!loaded) return loaded;
    if (!*number) {
      if (!pending && before) TRY(record_that_nothing_is_left(*before));
      booted_.way_back = way_back(directory_, std::nullopt, std::nullopt);
      return {};
    }
    if (state_) say_unless(state_->make_boot(**number), "it is not recorded");
    if (before && !pending) record_interrupted(*before, *number);
    return {};
  }

  // What put `before` in force was killed before its end: a restart has ended it.
  void record_interrupted(std::optional<std::uint32_t> before, std::optional<std::uint32_t> now) {
    if (!state_ || before == now) return;
    Event event = event_now(world_, EventKind::Dropped);
    event.from = before;
    event.to = now;
    event.why = "what put it in force was interrupted before its end";
    say_unless(state_->append(event), "it is not recorded");
  }

  Result<void> record_that_nothing_is_left(std::optional<std::uint32_t> before) {
    if (!state_ || !before) return {};
    const auto live = kernel_->read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
    if (!live) return std::unexpected(live.error());
    if (*live) return {};  // no restart has come
    say_unless(state_->make_current(std::nullopt), "it is not recorded");
    record_interrupted(before, std::nullopt);
    return {};
  }

  // Of a newer version's record nothing is believed but that it says to load nothing.
  Result<void> pass_over(const Error& why) {
    const auto number = boot_number(directory_);
    if (!number || *number) return std::unexpected(why);
    say(why.message);
    return {};
  }

  void say(std::string problem) { booted_.problems.push_back(std::move(problem)); }
  void say_unless(const Result<void>& done, const char* what) {
    if (!done) say(fmt::format("{}: {}", what, done.error().message));
  }

  std::optional<Pending> read_what_waits() {
    Waiting waiting = whatever_waits(directory_);
    if (waiting.problem.empty()) return waiting.pending;
    say(std::move(waiting.problem));
    if (!waiting.pending && state_) {
      say_unless(disarm(*state_), "pending.json cannot be removed");
    }
    return waiting.pending;
  }

  // As it was, with its deadline; what cannot be read of it is as good as expired.
  Result<void> put_back_what_waits(const Pending& pending) {
    const auto current = current_number(directory_);
    if (is_overdue(pending, world_)) {
      return take_back(pending, "not confirmed by " + pending.deadline);
    }
    if (!current) return take_back(pending, current.error().message);
    if (!*current && !pending.generation) {
      booted_.pending = pending;  // that there is no table
      return {};
    }
    if (!*current) return take_back(pending, "it did not come into force whole");
    auto loaded = load(**current);
    const bool unreadable = !loaded && loaded.error().kind != ErrorKind::System &&
                            loaded.error().kind != ErrorKind::Refused;  // the guard's word
    if (unreadable) {
      return take_back(pending, loaded.error().message);
    }
    if (loaded) booted_.pending = pending;
    return loaded;
  }

  Result<void> take_back(const Pending& pending, std::string why) {
    booted_.unconfirmed = name_of_waiting(pending);
    Event event = event_now(world_, EventKind::Expired);
    event.from = pending.generation;
    event.to = pending.former;
    event.why = std::move(why);
    if (pending.former) {
      auto former = admitted(*pending.former);
      const bool refused = !former && former.error().kind == ErrorKind::Refused;
      if (refused) return std::unexpected(std::move(former).error());  // the record is as it was
      if (former) TRY(bring_in_force(std::move(*former)));
      // Where it is damaged, what the caller falls back to is an event of its own.
      if (state_) record_taken_back(std::move(event));
      if (!former) return std::unexpected(std::move(former).error());
      return {};
    }
    TRY(remove_table(*kernel_));
    if (state_) record_taken_back(std::move(event));
    return {};
  }

  // What waited when the machine went down is gone for good.
  void drop_unconfirmed(const Pending& pending, std::optional<std::uint32_t> confirmed) {
    booted_.unconfirmed = name_of_waiting(pending);
    if (!state_) return;
    Event event = event_now(world_, EventKind::Dropped);
    event.from = pending.generation;
    event.to = confirmed;
    event.why = kNotConfirmedBeforeBoot;
    record_taken_back(std::move(event));
  }

  void record_taken_back(const Event& event) {
    const auto record = [&]() -> Result<void> {
      TRY(state_->make_current(event.to));
      TRY(state_->make_boot(event.to));
      TRY(state_->append(event));
      return disarm(*state_);
    };
    say_unless(record(), "it is not recorded");
  }

  Result<void> load(std::uint32_t generation) {
    auto read = admitted(generation);
    if (!read) return std::unexpected(std::move(read).error());
    return bring_in_force(std::move(*read));
  }

  // As the record has it, and the guard has nothing against it.
  Result<Generation> admitted(std::uint32_t generation) {
    Result<Generation> read = read_generation(directory_, generation);
    if (!read) return read;
    const auto table = own_table(read->snapshot);
    if (!table) return std::unexpected(table.error());
    TRY(ask_before(*kernel_, *table, guard_));
    return read;
  }

  Result<void> bring_in_force(Generation loaded) {
    const auto table = own_table(loaded.snapshot);
    if (!table) return std::unexpected(table.error());
    const bool audits = is_in_audit_mode(**table);
    Applied applied = loaded.applied;
    const std::uint32_t generation = applied.generation;
    Result<PutBack> put = put_back(world_, *kernel_, std::move(loaded), directory_);
    if (!put) return std::unexpected(std::move(put).error());
    booted_.generation = generation;
    booted_.audits = audits;
    for (std::string& problem : put->problems) say(std::move(problem));
    if (!state_) return {};
    say_unless(state_->make_current(generation), "it is not recorded");
    note_in_kernel(world_, *state_, std::move(applied), {.generation = put->kernel_generation});
    if (const auto events = read_events(directory_);
        events && !events->all.empty() && events->all.back().kind == EventKind::FellBack) {
      Event event = event_now(world_, EventKind::Recovered);
      event.from = generation;
      event.to = generation;
      say_unless(state_->append(event), "it is not recorded");
    }
    return {};
  }

  const std::string& directory_;
  const World& world_;
  GuardCall* guard_;                     // may be null: nobody is asked
  std::optional<StateDirectory> state_;  // absent: it cannot be written
  std::unique_ptr<Kernel> kernel_;
  Booted booted_;
};

}  // namespace

Result<Booted> boot(const std::string& state_directory, const World& world, GuardCall* guard) {
  return Boot(state_directory, world, guard).run();
}

Result<FellBack> fall_back(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                           const std::string& why, const std::string& instead, const World& world) {
  const auto table = own_table(snapshot);
  if (!table) return std::unexpected(table.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  Result<PutBack> put = put_table(world, **kernel, **table, state_directory);
  if (!put) return std::unexpected(std::move(put).error());
  FellBack done{.rules = size_of(**table).rules,
                .audits = is_in_audit_mode(**table),
                .problems = std::move(put->problems)};
  Event event = event_now(world, EventKind::FellBack);
  if (const auto number = boot_number(state_directory)) event.from = *number;
  // The record stays as it is: the next boot may load it.
  event.to = current_number(state_directory).value_or(event.from);
  event.why = why;
  event.instead = instead;
  Result<std::optional<StateDirectory>> state = StateDirectory::open_existing(state_directory);
  Result<void> recorded;
  if (!state) recorded = std::unexpected(state.error());
  if (state && *state) recorded = (*state)->append(event);
  if (!recorded) done.problems.push_back("it is not recorded: " + recorded.error().message);
  return done;
}

}  // namespace rolewall::apply
