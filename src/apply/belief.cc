#include "apply/belief.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apply/elements.h"
#include "apply/run_time_entries.h"
#include "apply/run_time_jumps.h"
#include "apply/state_directory.h"
#include "ruleset/own_table.h"

namespace rolewall::apply {
namespace {

using ruleset::kOwnFamily;
using ruleset::kOwnTable;
using ruleset::Set;
using ruleset::Table;

// Whether all elements that matter are believed: those of sets that no packet and no clock changes.
bool covers(const Table& believed, const Table& live, const Table& wanted) {
  return std::ranges::all_of(live.sets, [&](const Set& set) {
    const Set* as_wanted = find_set(wanted, set.name);
    if (as_wanted != nullptr && filled_at_run_time(*as_wanted)) {
      return same_declaration(set, *as_wanted);  // it stays, whatever it holds
    }
    const Set* as_believed = find_set(believed, set.name);
    return as_believed != nullptr && !as_believed->has_timeout &&
           same_declaration(set, *as_believed);
  });
}

Found found(std::uint32_t generation, std::optional<Table> table) {
  Found found{.there = {.mark = {.generation = generation}, .table = nullptr}, .is_wanted = false};
  if (!table) return found;
  found.there.mark.run_time_jumps = led_to_by(*table).any();
  found.there.table = std::make_shared<const Table>(std::move(*table));
  return found;
}

// No elements, but where only these tell whether jumps to bans and openings are still needed.
ElementsRead elements_to_read(const Belief& belief) {
  ElementsRead which{.any = belief.mark.run_time_jumps};
  if (!which.any) return which;
  for (const Set& set : belief.table->sets) {
    if (!holds_entries(set)) which.but.push_back(set.name);
  }
  return which;
}

// At the very generation of the belief. std::nullopt where its elements are not enough.
Result<std::optional<Found>> read_rules(Kernel& kernel, const Table& wanted, const Belief& belief) {
  const bool loses_no_jumps = !belief.mark.run_time_jumps;
  if (loses_no_jumps && *belief.table == wanted) return Found{.there = belief, .is_wanted = true};
  Result<std::optional<Table>> table =
      kernel.read_table(kOwnFamily, kOwnTable, elements_to_read(belief));
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table || !covers(*belief.table, **table, wanted)) return std::nullopt;
  if (loses_no_jumps && led_to_by(**table).any()) return std::nullopt;  // the mark does not say it
  for (Set& set : (*table)->sets) {
    const Set* as_believed = find_set(*belief.table, set.name);
    if (as_believed != nullptr && !filled_at_run_time(*as_believed)) {
      set.elements = as_believed->elements;
    }
  }
  return found(belief.mark.generation, std::move(*table));
}

// The large sets that look as they did.
std::vector<std::string> untouched_sets(const netlink::TableState& then,
                                        const netlink::TableState& now) {
  std::vector<std::string> same;
  if (then.handle != now.handle) return same;
  for (const netlink::SetState& set : then.sets) {
    if (std::ranges::find(now.sets, set) != now.sets.end()) same.push_back(set.name);
  }
  return same;
}

// Whatever the generation. std::nullopt where no large set is known again.
Result<std::optional<Found>> read_but_large_sets(Kernel& kernel, std::uint32_t generation,
                                                 const Belief& belief) {
  if (belief.mark.large_sets.sets.empty()) return std::nullopt;
  const auto state = kernel.table_state(kOwnFamily, kOwnTable);
  if (!state) return std::unexpected(state.error());
  if (!*state) return std::nullopt;
  const std::vector<std::string> same = untouched_sets(belief.mark.large_sets, **state);
  if (same.empty()) return std::nullopt;
  Result<std::optional<Table>> table = kernel.read_table(kOwnFamily, kOwnTable, {.but = same});
  if (!table) return std::unexpected(std::move(table).error());
  if (!*table) return std::nullopt;
  for (Set& set : (*table)->sets) {
    if (std::ranges::find(same, set.name) == same.end()) continue;
    const Set* as_believed = find_set(*belief.table, set.name);
    if (as_believed == nullptr || !same_declaration(set, *as_believed)) return std::nullopt;
    set.elements = as_believed->elements;
  }
  // The dump has waited until no commit was half way, the first counts may not have.
  const auto again = kernel.table_state(kOwnFamily, kOwnTable);
  if (!again) return std::unexpected(again.error());
  const Result<std::uint32_t> after = kernel.generation();
  if (!after) return std::unexpected(after.error());
  if (*after != generation || *again != *state) return std::nullopt;
  return found(generation, std::move(*table));
}

Result<Found> read_everything(Kernel& kernel) {
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  Result<std::optional<Table>> table = kernel.read_table(kOwnFamily, kOwnTable, {});
  if (!table) return std::unexpected(std::move(table).error());
  if (*table && (*table)->chains.empty()) table->reset();
  return found(*generation, std::move(*table));
}

}  // namespace

Beliefs recorded_beliefs(std::shared_ptr<const Generation> recorded, const World& world) {
  if (recorded == nullptr || !is_of(recorded->applied, world)) return {};
  const auto& tables = recorded->snapshot.ruleset.tables;
  if (tables.size() != 1 || !is_own(tables[0])) return {};
  const Table* table = tables.data();
  return {{.mark = recorded->applied.mark, .table = {std::move(recorded), table}}};
}

Result<Found> read_own_table(Kernel& kernel, const Table& wanted, const Beliefs& beliefs) {
  if (beliefs.empty()) return read_everything(kernel);
  const Result<std::uint32_t> generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  for (const Belief& belief : beliefs) {
    if (belief.table == nullptr) continue;
    Result<std::optional<Found>> some = std::nullopt;
    if (*generation == belief.mark.generation) some = read_rules(kernel, wanted, belief);
    if (some && !*some) some = read_but_large_sets(kernel, *generation, belief);
    if (!some) return std::unexpected(std::move(some).error());
    if (*some) return std::move(**some);
  }
  return read_everything(kernel);
}

KernelMark mark_of(Kernel& kernel, const Table& table, std::uint32_t generation) {
  KernelMark mark{.generation = generation, .run_time_jumps = led_to_by(table).any()};
  if (std::ranges::none_of(table.sets, is_large)) return mark;
  auto state = kernel.table_state(kOwnFamily, kOwnTable);
  const Result<std::uint32_t> now = kernel.generation();
  if (!state || !*state || !now || *now != generation) return mark;
  std::erase_if((*state)->sets, [&](const netlink::SetState& set) {
    const Set* there = find_set(table, set.name);
    return there == nullptr || !is_large(*there);
  });
  mark.large_sets = std::move(**state);
  return mark;
}

}  // namespace rolewall::apply
