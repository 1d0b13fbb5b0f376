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
  plan.lines = by_rule(before, wanted, in_words(before, change));
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
              fmt::format("only a ruleset that is table {} {} and nothing else can be applied",
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
      committed.mark = mark_of(kernel, wanted, there.mark.generation);
      return committed;
    }
    if (options.before_sending) TRY(options.before_sending(committed.plan, change.table));
    Result<netlink::CommitResult> result = send_staged(kernel, there, change);
    if (!result) return std::unexpected(std::move(result).error());
    if (result->committed) {
      committed.mark = mark_of(kernel, wanted, result->generation);
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
