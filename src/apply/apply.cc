#include "apply/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/belief.h"
#include "apply/commit.h"
#include "apply/difference.h"
#include "apply/elements.h"
#include "apply/elsewhere.h"
#include "apply/found_state.h"
#include "apply/guard.h"
#include "apply/interrupted.h"
#include "apply/kernel.h"
#include "apply/open_sessions.h"
#include "apply/restore.h"
#include "apply/run_time_jumps.h"
#include "apply/state_directory.h"
#include "apply/waiting.h"
#include "apply/way_back.h"
#include "netlink/sockets.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

// `is_first`: of all.
// What the policy changes, by name: "web.inbound.app changed, web.inbound.old removed"; "" where
// that is nothing, or not known.
std::string changed_names(const Generation* before, const Snapshot& wanted) {
  constexpr std::size_t kMost = 3;
  if (before == nullptr || before->snapshot.written.empty()) return "";
  const std::vector<PolicyChange> changes =
      policy_changes(before->snapshot.written, wanted.written);
  std::string text;
  for (std::size_t i = 0; i < changes.size() && i < kMost; ++i) {
    const PolicyChange& change = changes[i];
    const bool has_kind = !change.is_rule() && change.of != "defaults";
    text += fmt::format("{}{}{} {}", i == 0 ? "" : ", ", has_kind ? change.of + " " : "",
                        change.name, name_of(change.kind));
  }
  if (changes.size() > kMost) text += fmt::format(" and {} more", changes.size() - kMost);
  return text;
}

std::string counts(const Plan& plan, bool is_first) {
  const std::string added =
      fmt::format("{} rule{}", plan.rules_added, plan.rules_added == 1 ? "" : "s");
  if (plan.first) return is_first ? "first apply: " + added : added + ", where no table was";
  return fmt::format("{} added, {} removed, {} kept", added, plan.rules_removed, plan.rules_kept);
}

std::uint64_t wall_ns(const World& world) {
  constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
  return static_cast<std::uint64_t>(world.wall_seconds()) * kNsPerSecond;
}

// One apply, from what is recorded to what is recorded.
class Apply {
 public:
  Apply(const Snapshot& snapshot, const Table& wanted, StateDirectory& state, const World& world,
        Kernel& kernel, const ApplyOptions& options)
      : snapshot_(snapshot),
        wanted_(wanted),
        state_(state),
        world_(world),
        kernel_(kernel),
        options_(options),
        found_(state, world, kernel) {}

  // For the report.
  void note(std::string what) { problems_.push_back(std::move(what)); }

  Result<Outcome> run() {
    // Before the commit: a directory that cannot be read now would not be written either.
    found_.look();
    for (std::string& problem : found_.problems) note(std::move(problem));
    TRY(refuse_to_pass_over_what_waits());
    TRY(refuse_to_refresh_another());
    Result<Committed> sent =
        commit(world_, kernel_, wanted_,
               {.beliefs = beliefs(),
                .before_sending = [this](const Plan& plan,
                                         Table& table) { return get_ready(plan, table); },
                .state_directory = state_.path()});
    if (!sent || !sent->refusals.empty()) TRY(take_back());
    if (!sent && sent.error().kind == ErrorKind::Refused) return refused();
    if (!sent) return std::unexpected(std::move(sent).error());
    if (sent->plan.empty()) {
      const Result<void> asked = ask_about_the_machine(wanted_);
      if (!asked && asked.error().kind == ErrorKind::Refused) return refused();
      if (!asked) return std::unexpected(asked.error());
    }
    if (!sent->refusals.empty()) return Outcome{.refusals = std::move(sent->refusals)};
    return report(std::move(*sent));
  }

 private:
  Outcome refused() const { return {.losses = losses_, .notes = notes_}; }

  Result<Outcome> report(Committed committed) {
    Report report{.plan = std::move(committed.plan),
                  .generation = 0,
                  .rules = committed.size.rules,
                  .sets = committed.size.sets,
                  .elements = committed.size.elements,
                  .way_back = {},
                  .pending = pending_,
                  .time_begins_anew = false,
                  .confirmed = {},
                  .overridden = losses_,
                  .notes = notes_,
                  .problems = {}};
    if (auto recorded = record(report, committed); !recorded) {
      Error error = std::move(recorded).error();
      error.message = fmt::format("the table is in force, but not recorded: {}", error.message);
      return std::unexpected(std::move(error));
    }
    if (options_.cut && options_.guard) {
      auto cut = cut_not_admitted(kernel_, wanted_, *options_.guard, wall_ns(world_));
      if (cut) {
        report.cut = std::move(*cut);
      } else {
        note("what is open and no longer admitted may go on: " + cut.error().message);
      }
    }
    report.problems = std::move(problems_);
    if (!pending_) report.way_back = way_back(state_.path(), report.generation, {});
    return Outcome{.report = std::move(report)};
  }

  // What was read for the plan is newer than the record.
  Beliefs beliefs() const {
    Beliefs all;
    if (options_.seen != nullptr) all.push_back(*options_.seen);
    if (options_.reading == Reading::WhatMayDiffer) {
      for (Belief& belief : recorded_beliefs(found_.in_force, world_))
        all.push_back(std::move(belief));
    }
    return all;
  }

  // What an earlier apply left to be confirmed.
  Result<void> refuse_to_pass_over_what_waits() const {
    if (!found_.waits || options_.confirm_within || is_for_good()) return {};
    return fail(
        ErrorKind::Refused,
        fmt::format("{} waits for `rolewall confirm` and will be rolled back {}: confirm it, roll "
                    "it back with `rolewall rollback`, or apply with --confirm TIME",
                    name_of_waiting(*found_.waits), when_over(*found_.waits, world_)));
  }
  Result<void> refuse_to_refresh_another() const {
    if (!options_.refreshes) return {};
    if (found_.number == options_.refreshes && found_.in_force) return {};
    return fail(ErrorKind::Conflict,
                fmt::format("generation {} is not in force any more: nothing was changed",
                            *options_.refreshes));
  }
  // What waits, too. What was not confirmed in time, and could not be taken back, waits for
  // nothing.
  bool is_for_good() const { return options_.for_good || found_.is_over(); }

  // All that can fail for want of room, memory or rights, before anything is changed.
  Result<void> get_ready(const Plan& plan, Table& table) {
    // Whoever took the table away is not to find it again for an address that changed.
    if (plan.first && options_.refreshes) {
      return fail(ErrorKind::Conflict, "the table is not in the kernel: nothing was changed");
    }
    if (plan.first) {
      TRY(track_open_sessions(kernel_));
      if (options_.guard) give_tunnels_their_entries(options_.guard->tunnels);
      recalled_ = recall_entries(state_.path(), world_, table);
      banned_ = banned_by(table);
    }
    TRY(ask_guard(table));
    if (prepared_) return {};  // another program was quicker: the same, once more
    Result<std::optional<Generation>> former = state_to_return_to(plan.first);
    if (!former) return std::unexpected(std::move(former).error());
    Applied applied = now();
    applied.changes = options_.refreshes ? options_.why : in_words_of_history(plan);
    const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied, options_.sources);
    if (!generation) return std::unexpected(generation.error());
    prepared_ = std::move(applied);
    prepared_->generation = *generation;
    if (!options_.confirm_within) return {};
    return arm_for(*generation, *former);
  }

  Result<void> arm_for(std::uint32_t generation, const std::optional<Generation>& former) {
    Result<Pending> armed = arm(world_, state_, generation, former, *options_.confirm_within);
    if (!armed) return std::unexpected(std::move(armed).error());
    pending_ = std::move(*armed);
    return {};
  }

  // What `history` says of it.
  std::string in_words_of_history(const Plan& plan) const {
    const std::string names = changed_names(found_.in_force.get(), snapshot_);
    const std::string rules = counts(plan, is_first());
    return names.empty() || plan.first ? rules : fmt::format("{}; in the kernel {}", names, rules);
  }

  // No event and no generation is kept: nothing was ever applied, as far as is known.
  bool is_first() const {
    const auto events = read_events(state_.path());
    const auto kept = list_generations(state_.path());
    return events && events->all.empty() && events->damaged == 0 && kept && kept->empty();
  }

  // What carries a session over UDP gets its entry as the session does; a socket without a peer
  // takes what comes.
  void give_tunnels_their_entries(const std::vector<observe::Tunnel>& tunnels) {
    for (const observe::Tunnel& tunnel : tunnels) {
      for (const observe::OuterFlow& flow : tunnel.flows) {
        const bool between_ports = flow.local_port != 0 && flow.remote_port != 0;
        const bool is_known = !flow.anybody && flow.local != net::Address{net::Ipv4{}} &&
                              flow.local != net::Address{net::Ipv6{}};
        if (flow.protocol != net::protocol::kUdp || !between_ports || !is_known) continue;
        [[maybe_unused]] const auto done =
            kernel_.ensure_conntrack_entry({.local = flow.local,
                                            .local_port = flow.local_port,
                                            .remote = flow.remote,
                                            .remote_port = flow.remote_port},
                                           false, flow.protocol);
      }
    }
  }

  // The ruleset as it will be, with every other program's tables.
  Result<void> ask_guard(const Table& table) {
    if (!options_.guard) return {};
    GuardFacts facts = *options_.guard;
    track_sessions(kernel_, facts);
    Result<Today> today = today_beside(state_.path(), found_.waits, world_);
    if (!today) return std::unexpected(std::move(today).error());
    Result<GuardAnswer> found = apply::ask_guard(kernel_, &table, facts, *today);
    if (!found) return std::unexpected(std::move(found).error());
    losses_ = std::move(found->losses);
    notes_ = std::move(found->notes);
    if (losses_.empty() || options_.force) return {};
    return fail(ErrorKind::Refused, "the guard refused");
  }

  // Nothing changes on the table; what the guard would say may have changed with the machine.
  Result<void> ask_about_the_machine(const Table& table) {
    if (!options_.guard) return {};
    if (found_.in_force && found_.in_force->applied.machine == in_words(options_.guard->machine))
      return {};
    return ask_guard(table);
  }

  // What comes back without a confirmation. What no record says becomes a generation first, where
  // somebody may have to go back to it.
  Result<std::optional<Generation>> state_to_return_to(bool first) {
    const bool is_needed = found_.is_spoilt || options_.confirm_within;
    if (found_.knows_way_back() || first || !is_needed) return found_.confirmed();
    return found_.adopt(now(), snapshot_);
  }

  // Nothing was changed in the kernel. An earlier apply that was replaced waits again.
  Result<void> take_back() {
    if (pending_) TRY(arm_again(state_, found_.waits));
    if (prepared_) state_.discard(prepared_->generation);
    if (found_.adopted) state_.discard(*found_.adopted);
    return {};
  }

  Result<void> record(Report& report, const Committed& committed) {
    for (std::string& problem : recalled_) note(std::move(problem));
    if (std::string problem = cut_banned_sessions(kernel_, banned_); !problem.empty()) {
      note(std::move(problem));
    }
    if (!prepared_) {
      // A policy that was only written differently changes no rule and still the lines they come
      // from.
      Applied applied = now();
      const Generation* there = found_.in_force.get();
      const bool known = there != nullptr && there->snapshot == snapshot_ &&
                         there->applied.management == applied.management &&
                         there->applied.site == applied.site && has_these_sources(*there);
      if (known) return record_unchanged(report, committed);
      applied.changes = options_.refreshes
                            ? options_.why
                            : std::string("nothing in the kernel: the policy's text alone");
      const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied, options_.sources);
      if (!generation) return std::unexpected(generation.error());
      prepared_ = std::move(applied);
      prepared_->generation = *generation;
      if (found_.waits && options_.confirm_within) TRY(let_it_wait_anew(report, *generation));
    }
    report.generation = prepared_->generation;
    TRY(record_adopted());
    TRY(state_.make_current(report.generation));
    Event event = event_now(world_, options_.refreshes ? EventKind::Refreshed : EventKind::Applied);
    event.from = found_.number;
    event.to = report.generation;
    event.waits = waits();
    event.over_confirmed = event.waits && !found_.waits;
    event.why = prepared_->changes;
    TRY(state_.append(event));
    if (!waits()) TRY(settle(report));
    note_in_kernel(world_, state_, *prepared_, committed.mark);
    return {};
  }

  // Else what a refresh would compile again is not what was applied last.
  bool has_these_sources(const Generation& there) const {
    if (options_.sources.empty()) return true;
    const auto sources = read_sources(state_.path(), there.applied.generation);
    return sources && *sources == options_.sources;
  }

  Result<void> record_adopted() {
    if (!found_.adopted) return {};
    TRY(state_.make_current(*found_.adopted));
    Event event = event_now(world_, EventKind::Applied);
    event.from = found_.number;
    event.to = found_.adopted;
    event.why = "found in the kernel";
    found_.number = found_.adopted;
    TRY(state_.append(event));
    return state_.make_boot(*found_.adopted);
  }

  // Nothing is to be done, in the kernel or on the disk, but perhaps for what waits.
  Result<void> record_unchanged(Report& report, const Committed& committed) {
    report.generation = found_.in_force->applied.generation;
    // Where what waits did not come into force whole, what was confirmed last may still be.
    const bool is_confirmed = found_.waits && found_.waits->former == report.generation;
    const bool asks_to_wait = found_.waits && options_.confirm_within && !is_confirmed;
    const auto waits_for_something =
        asks_to_wait ? has_another_to_return_to(report.generation) : Result<bool>(false);
    if (!waits_for_something) return std::unexpected(waits_for_something.error());
    if (*waits_for_something) {
      TRY(let_it_wait_anew(report, report.generation));
    } else if (!waits() || is_confirmed || asks_to_wait) {
      if (found_.waits && !is_confirmed) {
        Event event = event_now(world_, EventKind::Confirmed);
        event.from = report.generation;
        event.to = report.generation;
        TRY(state_.append(event));
      }
      TRY(settle(report));
    }
    Applied applied = found_.in_force->applied;
    note_guard(applied);
    const bool known = applied == found_.in_force->applied && is_of(applied, world_);
    if (known && applied.mark == committed.mark) return {};
    note_in_kernel(world_, state_, applied, committed.mark);
    return {};
  }

  // Not where what was to come back is damaged, and nothing else was in force before.
  Result<bool> has_another_to_return_to(std::uint32_t generation) {
    const auto former = state_to_return_to(/*first=*/false);
    if (!former) return std::unexpected(former.error());
    return !*former || (*former)->applied.generation != generation;
  }

  Result<void> let_it_wait_anew(Report& report, std::uint32_t generation) {
    const auto former = state_to_return_to(/*first=*/false);
    if (!former) return std::unexpected(former.error());
    TRY(arm_for(generation, *former));
    report.pending = pending_;
    report.time_begins_anew = true;
    return {};
  }

  Applied now() const {
    Applied applied = applied_now(world_, snapshot_.host.name);
    applied.policies = options_.policies;
    applied.refreshes = options_.refreshes;
    note_guard(applied);
    return applied;
  }

  void note_guard(Applied& applied) const {
    if (!options_.guard) return;
    applied.management = options_.guard->management;
    applied.site = options_.guard->site;
    applied.machine = in_words(options_.guard->machine);
  }

  bool waits() const { return pending_ || (found_.waits && !is_for_good()); }

  // In force for good.
  Result<void> settle(Report& report) {
    TRY(state_.make_boot(report.generation));
    if (!found_.waits) return {};
    const bool is_another = found_.is_over() && found_.waits->generation != report.generation;
    if (found_.waits->former != report.generation && !is_another) {
      report.confirmed = found_.waits->generation;
    }
    return disarm(state_);
  }

  const Snapshot& snapshot_;
  const Table& wanted_;
  StateDirectory& state_;
  const World& world_;
  Kernel& kernel_;
  const ApplyOptions& options_;
  FoundState found_;
  std::optional<Applied> prepared_;
  std::optional<Pending> pending_;
  std::vector<std::string> recalled_;  // what of the bans could not be, of the last attempt
  net::AddressSet banned_;             // that could be
  std::vector<std::string> problems_;
  std::vector<Loss> losses_;
  std::vector<Loss> notes_;
};

// What of the plan the policy asks for, and what puts right what another program did.
void tell_by_policy(Plan& plan, const std::shared_ptr<const Generation>& before,
                    const Snapshot& wanted, const World& world) {
  static const std::vector<ruleset::Written> kNothing;
  if (plan.first) {
    plan.changes = policy_changes(kNothing, wanted.written);
    return;
  }
  if (before == nullptr || before->snapshot.written.empty() || plan.seen == nullptr) return;
  plan.changes = policy_changes(before->snapshot.written, wanted.written);
  if (const auto table = own_table(wanted); table && plan.changes->empty()) {
    plan.idle_jumps_alone = difference(*plan.seen->table, **table, IdleJumps::Stay).empty();
  }
  const Result<const Table*> applied = own_table(before->snapshot);
  const auto stands = [&](const Belief& belief) {
    return belief.mark.generation == plan.seen->mark.generation;
  };
  if (!applied || std::ranges::any_of(recorded_beliefs(before, world), stands)) return;
  const Table& live = *plan.seen->table;
  plan.drift = in_words(live, difference(live, **applied, IdleJumps::Stay));
}

}  // namespace

Result<Plan> plan(const Snapshot& snapshot, const std::string& state_directory, Reading reading,
                  const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<std::optional<Generation>> recorded = current_generation(state_directory);
  std::shared_ptr<const Generation> before;  // one that cannot be read counts as none
  if (recorded && *recorded) before = std::make_shared<const Generation>(std::move(**recorded));
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  Beliefs beliefs;
  if (before && reading == Reading::WhatMayDiffer) beliefs = recorded_beliefs(before, world);
  Result<Plan> plan = plan_for(**kernel, **wanted, beliefs);
  if (!plan) return plan;
  if (!plan->empty()) {
    tell_by_policy(*plan, before, snapshot, world);
  } else if (before && !before->snapshot.written.empty()) {
    // A day on which a rule expires, say, is no matter of the kernel's.
    plan->changes = policy_changes(before->snapshot.written, snapshot.written);
    std::erase_if(*plan->changes, [](const PolicyChange& change) { return !change.is_rule(); });
  }
  return plan;
}

Result<GuardAnswer> ask_guard_first(const Snapshot& snapshot, const std::string& state_directory,
                                    const ApplyOptions& options, const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Result<Today> today =
      today_beside(state_directory, what_waits(state_directory, world).pending, world);
  if (!today) return std::unexpected(today.error());
  return ask_guard(**kernel, *wanted, *options.guard, *today);
}

Result<NotAdmitted> what_is_cut(const Snapshot& snapshot, const GuardFacts& facts,
                                const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  return not_admitted(**kernel, **wanted, facts, wall_ns(world));
}

Result<Outcome> apply(const Snapshot& snapshot, const std::string& state_directory,
                      const ApplyOptions& options, const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state && is_unwritable(state.error())) {
    Error error = std::move(state).error();
    error.message +=
        ": nothing was changed, for it could not be recorded. `rolewall ban`, `rollback` "
        "and `disable` work all the same";
    return std::unexpected(std::move(error));
  }
  if (!state) return std::unexpected(std::move(state).error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const bool was_elsewhere = is_elsewhere(state_directory, world);
  // Nobody can tell here what of that came into force.
  if (was_elsewhere && what_waits(state_directory, world).pending) {
    return std::unexpected(refuse_elsewhere(state_directory, world).error());
  }
  clear_interrupted(*state, **kernel, world);
  const auto overdue = end_what_is_over(world, *state, **kernel);
  // Else what nobody confirmed would be what was in force before.
  if (!overdue && overdue.error().kind == ErrorKind::System) {
    Error error = overdue.error();
    error.message = fmt::format(
        "what nobody confirmed in time cannot be taken back, and nothing was changed: {}. "
        "`rolewall disable` removes the table",
        error.message);
    return std::unexpected(std::move(error));
  }
  Apply apply(snapshot, **wanted, *state, world, **kernel, options);
  if (was_elsewhere) {
    apply.note(elsewhere_in_words(state_directory) +
               ", and this one's in its place from now on: --state-dir keeps them apart");
  }
  if (!overdue) apply.note(overdue.error().message);
  if (overdue && *overdue) apply.note(in_words(**overdue));
  return apply.run();
}

}  // namespace rolewall::apply
