#include "apply/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/belief.h"
#include "apply/commit.h"
#include "apply/guard.h"
#include "apply/kernel.h"
#include "apply/restore.h"
#include "apply/state_directory.h"
#include "netlink/sockets.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

std::string counts(const Plan& plan) {
  if (plan.first) return fmt::format("first apply: {} rules", plan.rules_added);
  return fmt::format("{} rules added, {} removed, {} kept", plan.rules_added, plan.rules_removed,
                     plan.rules_kept);
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
        options_(options) {}

  Result<Outcome> run() {
    // Before the commit: a directory that cannot be read now would not be written either.
    Result<std::optional<Generation>> current = state_.current();
    if (!current) return std::unexpected(std::move(current).error());
    if (*current) before_ = std::make_shared<const Generation>(std::move(**current));
    TRY(look_for_pending());
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
                  .pending = pending_,
                  .overridden = losses_,
                  .notes = notes_};
    if (auto recorded = record(report, committed); !recorded) {
      Error error = std::move(recorded).error();
      error.message = fmt::format("the table is in force, but not recorded: {}", error.message);
      return std::unexpected(std::move(error));
    }
    return Outcome{.report = std::move(report)};
  }

  // What was read for the plan is newer than the record.
  Beliefs beliefs() const {
    Beliefs all;
    if (options_.seen != nullptr) all.push_back(*options_.seen);
    if (options_.reading == Reading::WhatMayDiffer) {
      for (Belief& belief : recorded_beliefs(before_, world_)) all.push_back(std::move(belief));
    }
    return all;
  }

  // What an earlier apply left to be confirmed.
  Result<void> look_for_pending() {
    Result<std::optional<Pending>> read = waiting(state_.path(), world_);
    if (!read) return std::unexpected(std::move(read).error());
    if (!*read) return {};
    earlier_ = std::move(*read);
    if (options_.confirm_within || options_.for_good) return {};
    return fail(
        ErrorKind::Refused,
        fmt::format("generation {} waits for `rolewall confirm` until {}: confirm it, roll it "
                    "back with `rolewall rollback`, or apply with --confirm TIME",
                    earlier_->generation, earlier_->deadline));
  }

  // All that can fail for want of room, memory or rights, before anything is changed.
  Result<void> get_ready(const Plan& plan, Table& table) {
    if (plan.first) {
      TRY(give_sessions_their_entries());
      TRY(recall_entries(state_.path(), world_, table));
    }
    TRY(ask_guard(table));
    if (prepared_) return {};  // another program was quicker: the same, once more
    Applied applied = now();
    applied.changes = counts(plan);
    const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied);
    if (!generation) return std::unexpected(generation.error());
    prepared_ = std::move(applied);
    prepared_->generation = *generation;
    if (!options_.confirm_within) return {};
    Result<std::optional<Generation>> former = state_to_return_to();
    if (!former) return std::unexpected(std::move(former).error());
    Result<Pending> armed = arm(world_, state_, *generation, *former, *options_.confirm_within);
    if (!armed) return std::unexpected(std::move(armed).error());
    pending_ = std::move(*armed);
    return {};
  }

  // A session that is new to conntrack in its middle would pass for an invalid packet's, or for the
  // server's own, once the server speaks first. What the kernel cannot track, the guard asks about.
  Result<void> give_sessions_their_entries() {
    const Result<netlink::TcpSockets> sockets = kernel_.tcp_sockets();
    if (!sockets) return std::unexpected(sockets.error());
    for (const netlink::TcpSocket& session : sockets->established) {
      const bool opened_by_remote = std::ranges::any_of(
          sockets->listening,
          [&](const netlink::TcpSocket& other) { return other.local_port == session.local_port; });
      [[maybe_unused]] const auto done = kernel_.ensure_conntrack_entry(session, opened_by_remote);
    }
    if (options_.guard) give_tunnels_their_entries(options_.guard->tunnels);
    return {};
  }

  // What carries a session over UDP likewise; a socket without a peer takes what comes.
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
    Result<Today> today = compared_with();
    if (!today) return std::unexpected(std::move(today).error());
    Result<GuardAnswer> found = apply::ask_guard(kernel_, &table, facts, *today);
    if (!found) return std::unexpected(std::move(found).error());
    losses_ = std::move(found->losses);
    notes_ = std::move(found->notes);
    if (losses_.empty() || options_.force) return {};
    return fail(ErrorKind::Refused, "the guard refused");
  }

  // Today is what is confirmed, not what waits.
  Result<Today> compared_with() {
    if (!earlier_) return Today{};
    const Result<std::optional<Generation>> former = state_to_return_to();
    if (!former) return std::unexpected(former.error());
    if (!*former) return Today{.confirmed = std::optional<Table>()};
    const Result<const Table*> table = own_table((*former)->snapshot);
    if (!table) return std::unexpected(table.error());
    return Today{.confirmed = std::optional<Table>(**table)};
  }

  // Nothing changes on the table; what the guard would say may have changed with the machine.
  Result<void> ask_about_the_machine(const Table& table) {
    if (!options_.guard) return {};
    if (before_ && before_->applied.machine == in_words(options_.guard->machine)) return {};
    return ask_guard(table);
  }

  // What was confirmed last: several applies in a row go back to it together.
  Result<std::optional<Generation>> state_to_return_to() {
    if (!earlier_) return before_ ? std::optional(*before_) : std::nullopt;
    if (!earlier_->former) return std::nullopt;
    Result<Generation> former = read_generation(state_.path(), *earlier_->former);
    if (!former) return std::unexpected(std::move(former).error());
    return std::move(*former);
  }

  // Nothing was changed in the kernel. An earlier apply that was replaced waits again.
  Result<void> take_back() {
    if (pending_) {
      if (earlier_) {
        TRY(state_.write(kPendingFile, to_json(*earlier_)));
      } else {
        TRY(disarm(state_));
      }
    }
    if (prepared_) state_.discard(prepared_->generation);
    return {};
  }

  Result<void> record(Report& report, const Committed& committed) {
    if (!prepared_) {
      // A policy that was only written differently changes no rule and still the lines they come
      // from.
      Applied applied = now();
      applied.mark = committed.mark;
      const bool known =
          before_ && before_->snapshot == snapshot_ && is_of(before_->applied, world_);
      if (known) return note_unchanged(report, committed);
      applied.changes = "no rules changed, only their policy lines";
      const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied);
      if (!generation) return std::unexpected(generation.error());
      prepared_ = std::move(applied);
      prepared_->generation = *generation;
    }
    report.generation = prepared_->generation;
    TRY(state_.make_current(prepared_->generation));
    TRY(state_.remove(kRolledBackFile));
    if (!waits()) TRY(settle(prepared_->generation));
    prepared_->mark = committed.mark;
    return state_.note(*prepared_);
  }

  Result<void> note_unchanged(Report& report, const Committed& committed) {
    report.generation = before_->applied.generation;
    if (!waits()) TRY(settle(report.generation));
    Applied applied = before_->applied;
    note_guard(applied);
    applied.mark = committed.mark;
    if (applied == before_->applied) return {};
    return state_.note(applied);
  }

  Applied now() const {
    Applied applied = applied_now(world_, snapshot_.host.name);
    note_guard(applied);
    return applied;
  }

  void note_guard(Applied& applied) const {
    if (!options_.guard) return;
    applied.management = options_.guard->management;
    applied.machine = in_words(options_.guard->machine);
  }

  bool waits() const { return pending_ || (earlier_ && !options_.for_good); }

  Result<void> settle(std::uint32_t generation) {
    const auto boot = boot_number(state_.path());
    if (!boot || *boot != generation) TRY(state_.make_boot(generation));
    return earlier_ ? disarm(state_) : Result<void>{};
  }

  const Snapshot& snapshot_;
  const Table& wanted_;
  StateDirectory& state_;
  const World& world_;
  Kernel& kernel_;
  const ApplyOptions& options_;
  std::shared_ptr<const Generation> before_;
  std::optional<Pending> earlier_;
  std::optional<Applied> prepared_;
  std::optional<Pending> pending_;
  std::vector<Loss> losses_;
  std::vector<Loss> notes_;
};

}  // namespace

Result<Plan> plan(const Snapshot& snapshot, const std::string& state_directory, Reading reading,
                  const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<std::optional<Generation>> recorded = current_generation(state_directory);
  if (!recorded) return std::unexpected(recorded.error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  Beliefs beliefs;
  if (*recorded && reading == Reading::WhatMayDiffer) {
    beliefs = recorded_beliefs(std::make_shared<const Generation>(std::move(**recorded)), world);
  }
  return plan_for(**kernel, **wanted, beliefs);
}

Result<Outcome> apply(const Snapshot& snapshot, const std::string& state_directory,
                      const ApplyOptions& options, const World& world) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  Result<std::unique_ptr<Kernel>> kernel = world.open_kernel();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  return Apply(snapshot, **wanted, *state, world, **kernel, options).run();
}

}  // namespace rolewall::apply
