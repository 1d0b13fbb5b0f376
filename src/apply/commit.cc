// How a wanted table comes into force while others may change the firewall at any moment.
//
// The kernel offers one thing to build on: a transaction, which is done whole or not at all, and
// not at all where the kernel's generation is not the one that the transaction expects (ERESTART
// from nfnetlink_rcv_batch(), for NFNL_BATCH_GENID). Reading is no such thing: a dump is many
// answers.
//
//     ask the generation, read or recall the table (belief.h)  <----+
//     compare it with the wanted one (difference.h)                 | clash: a commit of somebody
//     get ready: ask the guard, write the record, arm the rollback  | else came between
//     send what differs, expecting that generation -----------------+
//
// The invariant: what is sent was computed from what the kernel held at the generation that it
// expects. Hence it makes the wanted table of what is there, or does nothing; no packet meets half
// of a change, and no other program's change is overwritten unseen. The generation is asked before
// the table is read, so that a commit in between makes it too old (a clash) and never too new.
//
// Three things do not fit into one such round:
//   * What was believed and not read may be otherwise, though the generation stands for the rest.
//     The kernel notices by refusing (an element to take away is not there), and then everything is
//     read and the change made once more. A refusal of what was read is the answer.
//   * What is larger than one message (EMSGSIZE) is put there beforehand, in sets that no rule
//     names and that therefore decide nothing (staging.h, detour.h). Each transaction expects
//     the generation that the one before it left, so all of them are one round: whoever comes in
//     between makes the next one clash, and what was put there is taken away.
//   * Others who never stop. After ten seconds, and three attempts at least, it is given up.
//
// Which error is safe. Before the commit every failure leaves the kernel as it was, but for sets
// put there beforehand that could not be taken away again: no rule names them, and the next apply
// takes them away. After it, only the mark (mark_of()) can fail to be had, which costs the next
// apply a reading and nothing else. Where the answer to a transaction is lost, it is reported as
// failed, though it may have been done: the record then says what was in force before, at a
// generation that has passed, so that the next apply reads what is there.
// tests/unit/apply/steps_test.cc has each step fail in each of these ways.
#include "apply/commit.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "apply/detour.h"
#include "apply/difference.h"
#include "apply/file_lock.h"
#include "apply/staging.h"
#include "ruleset/names.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

// For how long the plan is made again because another program changed something meanwhile, in
// nanoseconds; where that takes longer than this, so often.
constexpr std::uint64_t kPatience = 10'000'000'000;
constexpr int kLeastAttempts = 3;

// The table as it is before there is any.
Table nothing_of(const Table& wanted) {
  Table table;
  table.family = wanted.family;
  table.name = wanted.name;
  table.flags = wanted.flags;
  return table;
}

Plan plan_of(const Table* live, const Table& wanted, const Difference& change) {
  Plan plan;
  plan.first = live == nullptr;
  const Table nothing = nothing_of(wanted);
  const Table& before = live != nullptr ? *live : nothing;
  plan.items = in_words(before, change);
  plan.rules_added = change.change.added_rules.size();
  plan.rules_removed = change.change.removed_rules.size();
  plan.rules_kept = size_of(wanted).rules - plan.rules_added;
  if (change.whole) {
    plan.rules_added += std::exchange(plan.rules_kept, 0);
    plan.rules_removed = size_of(before).rules;
  }
  return plan;
}

Plan nothing_to_do(const Table& wanted) {
  Plan plan;
  plan.rules_kept = size_of(wanted).rules;
  return plan;
}

Difference difference_from(const Table* live, const Table& wanted) {
  if (live != nullptr) return difference(*live, wanted);
  Difference all = difference(nothing_of(wanted), wanted);
  all.whole = true;
  return all;
}

Result<netlink::CommitResult> send(Kernel& kernel, const Difference& change,
                                   std::uint32_t generation) {
  return change.whole ? kernel.replace_table(change.table, generation)
                      : kernel.change_table(change.table, change.change, generation);
}

// The same, where it is too large for one message: what can be is put there beforehand.
Result<netlink::CommitResult> send_staged(Kernel& kernel, const Belief& live,
                                          const Difference& change) {
  Result<netlink::CommitResult> result = send(kernel, change, live.mark.generation);
  if (result || result.error().os_errno != EMSGSIZE) return result;
  if (const auto sets = large_changes_in_use(live, change); !sets.empty()) {
    return send_by_detour(kernel, live, change, sets);
  }
  Result<std::optional<Staged>> staged = stage(kernel, live, change);
  if (!staged) return std::unexpected(std::move(staged).error());
  if (!*staged) return result;
  const Staged& there = **staged;
  if (there.clash) {
    result = netlink::CommitResult{.generation_clash = there.refusals.empty(),
                                   .refusals = there.refusals};
  } else {
    const Difference rest = difference(*there.live.table, change.table);
    result = send(kernel, rest, there.live.mark.generation);
  }
  if (!result || !result->committed) unstage(kernel, live, there.live);
  return result;
}

// How many attempts others' changes have thrown back, and whether that is to go on.
class Patience {
 public:
  Patience(const World& world, const std::string& state_directory)
      : world_(world), state_directory_(state_directory), deadline_(world.boot_ns() + kPatience) {}

  // After an attempt that clashed. Our own processes wait for one that did (file_lock.h).
  Result<void> once_more() {
    ++attempts_;
    if (attempts_ >= kLeastAttempts && world_.boot_ns() > deadline_) {
      return fail(ErrorKind::Conflict,
                  fmt::format("another program kept changing the firewall ({} attempts): nothing "
                              "was changed",
                              attempts_));
    }
    if (turn_ || state_directory_.empty()) return {};
    if (auto taken = take_turn(state_directory_)) turn_.emplace(std::move(*taken));
    return {};
  }

 private:
  const World& world_;
  const std::string& state_directory_;
  std::uint64_t deadline_;
  int attempts_ = 0;
  std::optional<FileLock> turn_;
};

}  // namespace

Size size_of(const Table& table) {
  Size size;
  for (const ruleset::Chain& chain : table.chains) size.rules += chain.rules.size();
  size.sets = table.sets.size();
  for (const ruleset::Set& set : table.sets) {
    size.elements += set.elements.count() + (set.elements.has_catch_all ? 1 : 0);
  }
  return size;
}

Result<const Table*> own_table(const Snapshot& snapshot) {
  const auto& tables = snapshot.ruleset.tables;
  if (tables.size() == 1 && is_own(tables[0])) return tables.data();
  return fail(ErrorKind::Usage,
              fmt::format("only a ruleset with the one table {} {} can be applied",
                          name_of(ruleset::kOwnFamily), ruleset::kOwnTable));
}

Result<Plan> plan_for(Kernel& kernel, const Table& wanted, const Beliefs& beliefs) {
  Result<Found> found = read_own_table(kernel, wanted, beliefs);
  if (!found) return std::unexpected(std::move(found).error());
  if (found->is_wanted) return nothing_to_do(wanted);
  const Table* live = found->there.table.get();
  Plan plan = plan_of(live, wanted, difference_from(live, wanted));
  if (live != nullptr) plan.seen = std::make_shared<const Belief>(std::move(found->there));
  return plan;
}

Result<Committed> commit(const World& world, Kernel& kernel, const Table& wanted,
                         const CommitOptions& options) {
  Patience patience(world, options.state_directory);
  Beliefs beliefs = options.beliefs;
  while (true) {
    const Result<Found> found = read_own_table(kernel, wanted, beliefs);
    if (!found) return std::unexpected(found.error());
    const Belief& there = found->there;
    Committed committed{.plan = {}, .mark = there.mark, .size = size_of(wanted), .refusals = {}};
    if (found->is_wanted) {
      committed.plan = nothing_to_do(wanted);
      return committed;
    }
    Difference change = difference_from(there.table.get(), wanted);
    committed.plan = plan_of(there.table.get(), wanted, change);
    if (change.empty()) {
      committed.mark = mark_of(kernel, change.table, there.mark.generation);
      return committed;
    }
    if (options.before_sending) TRY(options.before_sending(committed.plan, change.table));
    Result<netlink::CommitResult> result = send_staged(kernel, there, change);
    if (!result) return std::unexpected(std::move(result).error());
    if (result->committed) {
      committed.mark = mark_of(kernel, change.table, result->generation);
      return committed;
    }
    if (result->refusals.empty()) {
      TRY(patience.once_more());
    } else if (beliefs.empty()) {
      committed.refusals = std::move(result->refusals);
      return committed;
    } else {
      beliefs.clear();  // what was believed may not be so
    }
  }
}

Result<bool> remove_table(Kernel& kernel) {
  const Result<std::optional<Table>> live =
      kernel.read_table(ruleset::kOwnFamily, ruleset::kOwnTable, {.any = false});
  if (!live) return std::unexpected(live.error());
  if (!*live) return false;
  const Result<netlink::CommitResult> result =
      kernel.delete_table(ruleset::kOwnFamily, ruleset::kOwnTable, std::nullopt);
  if (!result) return std::unexpected(result.error());
  if (!result->committed) {
    const netlink::Refusal& refusal = result->refusals.front();
    return fail(
        ErrorKind::System,
        fmt::format("the kernel refused to remove {}: {}", refusal.what, refusal.explanation),
        refusal.os_errno);
  }
  return true;
}

}  // namespace rolewall::apply
