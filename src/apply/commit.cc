#include "apply/commit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "apply/detour.h"
#include "apply/difference.h"
#include "apply/elements.h"
#include "apply/file_lock.h"
#include "apply/staging.h"
#include "ruleset/names.h"

namespace rolewall::apply {
namespace {

using ruleset::Snapshot;
using ruleset::Table;

// For how long the plan is made again because another program changed something meanwhile; where
// that takes longer than this, so often.
constexpr std::chrono::seconds kPatience{10};
constexpr int kLeastAttempts = 3;

// Whether all elements that matter are known: those of sets that no packet and no clock changes.
bool knows_elements(const Known& known, const Table& wanted, const Table& live) {
  return std::ranges::all_of(live.sets, [&](const ruleset::Set& set) {
    const ruleset::Set* as_wanted = find_set(wanted, set.name);
    if (as_wanted != nullptr && filled_at_run_time(*as_wanted)) {
      return same_declaration(set, *as_wanted);  // it stays, whatever it holds
    }
    const ruleset::Set* as_known = find_set(*known.table, set.name);
    return as_known != nullptr && !as_known->has_timeout && same_declaration(set, *as_known);
  });
}

// std::nullopt where it is not known, or not any more.
Result<std::optional<Live>> recall_live(netlink::Connection& kernel, const Table& wanted,
                                        const Known& known) {
  if (known.table == nullptr) return std::nullopt;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  if (*generation != known.kernel_generation) return std::nullopt;
  Result<std::optional<Table>> table =
      kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, false);
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table || !knows_elements(known, wanted, **table)) return std::nullopt;
  for (ruleset::Set& set : (*table)->sets) {
    const ruleset::Set* as_known = find_set(*known.table, set.name);
    if (as_known != nullptr && !filled_at_run_time(*as_known)) set.elements = as_known->elements;
  }
  return Live{*generation, std::move(*table)};
}

// The same at another generation, for the large sets. std::nullopt where none of them is known.
Result<std::optional<Live>> recall_large_sets(netlink::Connection& kernel, const Known& known) {
  if (known.table == nullptr || known.large_sets.sets.empty()) return std::nullopt;
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  const auto state = kernel.table_state(ruleset::kOwnFamily, ruleset::kOwnTable);
  if (!state) return std::unexpected(state.error());
  if (!*state || (*state)->handle != known.large_sets.handle) return std::nullopt;
  std::vector<std::string> same;
  for (const netlink::SetState& set : known.large_sets.sets) {
    if (std::ranges::find((*state)->sets, set) != (*state)->sets.end()) same.push_back(set.name);
  }
  if (same.empty()) return std::nullopt;
  Result<std::optional<Table>> table =
      kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, true, same);
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table) return std::nullopt;
  for (ruleset::Set& set : (*table)->sets) {
    if (std::ranges::find(same, set.name) == same.end()) continue;
    const ruleset::Set* as_known = find_set(*known.table, set.name);
    if (as_known == nullptr || !same_declaration(set, *as_known)) return std::nullopt;
    set.elements = as_known->elements;
  }
  // The dump has waited until no commit was half way, the first counts may not have.
  const auto again = kernel.table_state(ruleset::kOwnFamily, ruleset::kOwnTable);
  if (!again) return std::unexpected(again.error());
  const Result<std::uint32_t> after = kernel.generation();
  if (!after) return std::unexpected(after.error());
  if (*after != *generation || *again != *state) return std::nullopt;
  return Live{*generation, std::move(*table)};
}

// How the kernel keeps the large sets of `table` at this generation; empty where that is not known,
// so that they are read the next time.
netlink::TableState large_sets_of(netlink::Connection& kernel, const Table& table,
                                  std::uint32_t generation) {
  if (std::ranges::none_of(table.sets, is_large)) return {};
  auto state = kernel.table_state(ruleset::kOwnFamily, ruleset::kOwnTable);
  const Result<std::uint32_t> now = kernel.generation();
  if (!state || !*state || !now || *now != generation) return {};
  std::erase_if((*state)->sets, [&](const netlink::SetState& set) {
    const ruleset::Set* there = find_set(table, set.name);
    return there == nullptr || !is_large(*there);
  });
  return std::move(**state);
}

Result<Live> read_live(netlink::Connection& kernel, const Table& wanted, const Known& known) {
  Result<std::optional<Live>> recalled = recall_live(kernel, wanted, known);
  if (!recalled) return std::unexpected(std::move(recalled).error());
  if (*recalled) return std::move(**recalled);
  recalled = recall_large_sets(kernel, known);
  if (!recalled) return std::unexpected(std::move(recalled).error());
  if (*recalled) return std::move(**recalled);
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  Result<std::optional<Table>> table =
      kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, true);
  if (!table) return std::unexpected(std::move(table).error());
  // A table of ours without a chain decides nothing: an apply that was cut short has left it.
  if (*table && (*table)->chains.empty()) table->reset();
  // A change between the two makes the commit clash, and everything is read again.
  return Live{*generation, std::move(*table)};
}

// The table as it is before there is any.
Table nothing_of(const Table& wanted) {
  Table table;
  table.family = wanted.family;
  table.name = wanted.name;
  table.flags = wanted.flags;
  return table;
}

Plan plan_of(const std::optional<Table>& live, const Table& wanted, const Difference& change) {
  Plan plan;
  plan.first = !live;
  const Table nothing = nothing_of(wanted);
  const Table& before = live ? *live : nothing;
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

Difference difference_from(const std::optional<Table>& live, const Table& wanted) {
  if (live) return difference(*live, wanted);
  Difference all = difference(nothing_of(wanted), wanted);
  all.whole = true;
  return all;
}

Result<netlink::CommitResult> send(netlink::Connection& kernel, const Difference& change,
                                   std::uint32_t generation) {
  return change.whole ? kernel.replace_table(change.table, generation)
                      : kernel.change_table(change.table, change.change, generation);
}

// The same, where it is too large for one message: what can be is put there beforehand.
Result<netlink::CommitResult> send_staged(netlink::Connection& kernel, const Live& live,
                                          const Difference& change) {
  Result<netlink::CommitResult> result = send(kernel, change, live.generation);
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
    result = send(kernel, rest, there.live.generation);
  }
  if (!result || !result->committed) unstage(kernel, live, there.live);
  return result;
}

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

Result<Plan> plan_for(netlink::Connection& kernel, const Table& wanted, const Known& known) {
  Result<Live> live = read_live(kernel, wanted, known);
  if (!live) return std::unexpected(std::move(live).error());
  Plan plan = plan_of(live->table, wanted, difference_from(live->table, wanted));
  if (live->table) {
    plan.seen = std::make_shared<const Seen>(Seen{live->generation, std::move(*live->table)});
  }
  return plan;
}

Result<Committed> commit(netlink::Connection& kernel, const Table& wanted,
                         const BeforeSending& before_sending, const std::string& state_directory,
                         const Known& known) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + kPatience;
  bool believes = known.table != nullptr;
  std::optional<FileLock> turn;
  for (int attempt = 1;; ++attempt) {
    Result<Live> read = read_live(kernel, wanted, believes ? known : Known{});
    if (!read) return std::unexpected(std::move(read).error());
    const Live& live = *read;
    Difference change = difference_from(live.table, wanted);
    Committed committed{.plan = plan_of(live.table, wanted, change),
                        .kernel_generation = live.generation,
                        .large_sets = {},
                        .size = size_of(wanted),
                        .refusals = {}};
    if (change.empty()) {
      committed.large_sets = large_sets_of(kernel, wanted, committed.kernel_generation);
      return committed;
    }
    TRY(before_sending(committed.plan, change.table));
    Result<netlink::CommitResult> result = send_staged(kernel, live, change);
    if (!result) return std::unexpected(std::move(result).error());
    if (result->committed) {
      committed.kernel_generation = result->generation;
      committed.large_sets = large_sets_of(kernel, wanted, committed.kernel_generation);
      return committed;
    }
    // What was believed may not be so.
    if (!result->refusals.empty() && std::exchange(believes, false)) continue;
    if (!result->refusals.empty()) {
      committed.refusals = std::move(result->refusals);
      return committed;
    }
    if (attempt >= kLeastAttempts && Clock::now() > deadline) {
      return fail(ErrorKind::Conflict,
                  fmt::format("another program kept changing the firewall ({} attempts): nothing "
                              "was changed",
                              attempt));
    }
    if (turn || state_directory.empty()) continue;
    if (auto taken = take_turn(state_directory)) turn.emplace(std::move(*taken));
  }
}

Result<bool> remove_table(netlink::Connection& kernel) {
  const Result<std::optional<Table>> live =
      kernel.dump_table(ruleset::kOwnFamily, ruleset::kOwnTable, false);
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
