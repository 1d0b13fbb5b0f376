#include "apply/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/ask_guard.h"
#include "apply/bans.h"
#include "apply/commit.h"
#include "apply/guard.h"
#include "apply/state_directory.h"
#include "apply/watch.h"
#include "netlink/sockets.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

// What the record says of the kernel, where it is of this boot and network namespace.
Known known(const std::optional<Generation>& recorded) {
  if (!recorded || !same_world(recorded->applied, applied_now("", 0))) return {};
  const Result<const Table*> table = own_table(recorded->snapshot);
  if (!table) return {};
  return {recorded->applied.kernel_generation, *table, recorded->applied.large_sets};
}

// Whether the kernel is known to hold `wanted` without reading it.
Result<bool> untouched(netlink::Connection& kernel, const Known& known, const Table& wanted) {
  if (known.table == nullptr) return false;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  return *generation == known.kernel_generation && *known.table == wanted;
}

Plan nothing_to_do(const Table& wanted) {
  Plan plan;
  plan.rules_kept = size_of(wanted).rules;
  return plan;
}

std::string counts(const Plan& plan) {
  if (plan.first) return fmt::format("the first: {} rules", plan.rules_added);
  return fmt::format("{} rules added, {} removed, {} kept", plan.rules_added, plan.rules_removed,
                     plan.rules_kept);
}

// One apply, from what is recorded to what is recorded.
class Apply {
 public:
  Apply(const Snapshot& snapshot, const Table& wanted, StateDirectory& state,
        netlink::Connection& kernel, const ApplyOptions& options)
      : snapshot_(snapshot), wanted_(wanted), state_(state), kernel_(kernel), options_(options) {}

  Result<Outcome> run() {
    // Before the commit: a directory that cannot be read now would not be written either.
    Result<std::optional<Generation>> current = state_.current();
    if (!current) return std::unexpected(std::move(current).error());
    before_ = std::move(*current);
    TRY(look_for_pending());
    Known there = options_.reading == Reading::Everything ? Known{} : known(before_);
    if (const Seen* seen = options_.seen.get()) {
      const Result<std::uint32_t> generation = kernel_.generation();
      if (!generation) return std::unexpected(generation.error());
      if (*generation == seen->kernel_generation) there = {*generation, &seen->table};
    }
    Result<bool> same = untouched(kernel_, there, wanted_);
    if (!same) return std::unexpected(std::move(same).error());
    Committed committed;
    if (*same) {
      committed.plan = nothing_to_do(wanted_);
      committed.kernel_generation = before_->applied.kernel_generation;
      committed.large_sets = before_->applied.large_sets;
      committed.size = size_of(wanted_);
    } else {
      Result<Committed> sent = commit(
          kernel_, wanted_,
          [this](const Plan& plan, Table& table) { return get_ready(plan, table); }, state_.path(),
          there);
      if (!sent || !sent->refusals.empty()) TRY(take_back());
      if (!sent && sent.error().kind == ErrorKind::Refused) return Outcome{{}, {}, losses_};
      if (!sent) return std::unexpected(std::move(sent).error());
      committed = std::move(*sent);
      if (!committed.refusals.empty()) return Outcome{{}, std::move(committed.refusals), {}};
    }
    Report report{.plan = std::move(committed.plan),
                  .generation = 0,
                  .rules = committed.size.rules,
                  .sets = committed.size.sets,
                  .elements = committed.size.elements,
                  .pending = pending_,
                  .overridden = losses_};
    if (auto recorded = record(report, committed); !recorded) {
      Error error = std::move(recorded).error();
      error.message = fmt::format("the table is in force, but not recorded: {}", error.message);
      return std::unexpected(std::move(error));
    }
    return Outcome{std::move(report), {}, {}};
  }

 private:
  // What an earlier apply left to be confirmed.
  Result<void> look_for_pending() {
    Result<std::optional<Pending>> read = read_pending(state_.path());
    if (!read) return std::unexpected(std::move(read).error());
    if (!*read || (*read)->boot_id != this_boot()) return {};
    earlier_ = std::move(*read);
    if (options_.confirm_within || options_.for_good) return {};
    return fail(ErrorKind::Refused,
                fmt::format("generation {} waits for `rolewall confirm` until {}: confirm it, or "
                            "`rolewall rollback`, or apply with --confirm TIME, too",
                            earlier_->generation, earlier_->deadline));
  }

  // All that can fail for want of room, memory or rights, before anything is changed.
  Result<void> get_ready(const Plan& plan, Table& table) {
    if (plan.first) {
      TRY(give_sessions_their_entries());
      TRY(recall_entries(state_.path(), table));
    }
    TRY(ask_guard(table));
    if (prepared_) return {};  // another program was quicker: the same, once more
    Applied applied = now(0);
    applied.changes = counts(plan);
    const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied);
    if (!generation) return std::unexpected(generation.error());
    prepared_ = std::move(applied);
    prepared_->generation = *generation;
    if (!options_.confirm_within) return {};
    Result<std::optional<Generation>> former = state_to_return_to();
    if (!former) return std::unexpected(std::move(former).error());
    Result<Pending> armed = arm(state_, *generation, *former, *options_.confirm_within);
    if (!armed) return std::unexpected(std::move(armed).error());
    pending_ = std::move(*armed);
    return {};
  }

  // A session that is new to conntrack in its middle would pass for an invalid packet's, or for the
  // server's own, once the server speaks first. What the kernel cannot track, the guard asks about.
  static Result<void> give_sessions_their_entries() {
    const Result<netlink::TcpSockets> sockets = netlink::read_tcp_sockets();
    if (!sockets) return std::unexpected(sockets.error());
    for (const netlink::TcpSocket& session : sockets->established) {
      const bool opened_by_remote = std::ranges::any_of(
          sockets->listening,
          [&](const netlink::TcpSocket& other) { return other.local_port == session.local_port; });
      [[maybe_unused]] const auto done = ensure_conntrack_entry(session, opened_by_remote);
    }
    return {};
  }

  // The ruleset as it will be, with every other program's tables.
  Result<void> ask_guard(const Table& table) {
    if (!options_.guard) return {};
    GuardFacts facts = *options_.guard;
    for (Session& session : facts.sessions) {
      const netlink::TcpSocket socket{.local = session.server,
                                      .local_port = session.server_port,
                                      .remote = session.client,
                                      .remote_port = session.client_port};
      session.tracked = netlink::ensure_conntrack_entry(socket, true).has_value();
    }
    Result<std::vector<Loss>> found = apply::ask_guard(kernel_, table, facts);
    if (!found) return std::unexpected(std::move(found).error());
    losses_ = std::move(*found);
    if (losses_.empty() || options_.force) return {};
    return fail(ErrorKind::Refused, "the guard refused");
  }

  // What was confirmed last: several applies in a row go back to it together.
  Result<std::optional<Generation>> state_to_return_to() {
    if (!earlier_) return before_;
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
    const std::uint32_t kernel_generation = committed.kernel_generation;
    if (!prepared_) {
      // A policy that was only written differently changes no rule and still the lines they come
      // from.
      Applied applied = now(kernel_generation);
      const bool known =
          before_ && before_->snapshot == snapshot_ && same_world(before_->applied, applied);
      if (known) return note_unchanged(report, committed);
      applied.changes = "no rule: what they come from";
      const Result<std::uint32_t> generation = state_.prepare(snapshot_, applied);
      if (!generation) return std::unexpected(generation.error());
      prepared_ = std::move(applied);
      prepared_->generation = *generation;
    }
    report.generation = prepared_->generation;
    TRY(state_.make_current(prepared_->generation));
    TRY(state_.remove(kRolledBackFile));
    if (!waits()) TRY(settle(prepared_->generation));
    prepared_->large_sets = committed.large_sets;
    return state_.note_kernel_generation(*prepared_, kernel_generation);
  }

  Result<void> note_unchanged(Report& report, const Committed& committed) {
    report.generation = before_->applied.generation;
    if (!waits()) TRY(settle(report.generation));
    Applied applied = before_->applied;
    if (options_.guard) applied.management = options_.guard->management;
    applied.kernel_generation = committed.kernel_generation;
    applied.large_sets = committed.large_sets;
    if (applied == before_->applied) return {};
    return state_.note_kernel_generation(std::move(applied), committed.kernel_generation);
  }

  Applied now(std::uint32_t kernel_generation) const {
    Applied applied = applied_now(snapshot_.host.name, kernel_generation);
    if (options_.guard) applied.management = options_.guard->management;
    return applied;
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
  netlink::Connection& kernel_;
  const ApplyOptions& options_;
  std::optional<Generation> before_;
  std::optional<Pending> earlier_;
  std::optional<Applied> prepared_;
  std::optional<Pending> pending_;
  std::vector<Loss> losses_;
};

}  // namespace

Result<Plan> plan(const Snapshot& snapshot, const std::string& state_directory, Reading reading) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  const Result<std::optional<Generation>> recorded = current_generation(state_directory);
  if (!recorded) return std::unexpected(recorded.error());
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  const Known there = reading == Reading::Everything ? Known{} : known(*recorded);
  const Result<bool> same = untouched(*kernel, there, **wanted);
  if (!same) return std::unexpected(same.error());
  return *same ? nothing_to_do(**wanted) : plan_for(*kernel, **wanted, there);
}

Result<Outcome> apply(const Snapshot& snapshot, const std::string& state_directory,
                      const ApplyOptions& options) {
  const Result<const Table*> wanted = own_table(snapshot);
  if (!wanted) return std::unexpected(wanted.error());
  Result<StateDirectory> state = StateDirectory::open(state_directory);
  if (!state) return std::unexpected(std::move(state).error());
  Result<netlink::Connection> kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(std::move(kernel).error());
  return Apply(snapshot, **wanted, *state, *kernel, options).run();
}

}  // namespace rolewall::apply
