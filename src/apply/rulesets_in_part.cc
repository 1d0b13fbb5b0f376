#include "apply/rulesets_in_part.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/elements.h"
#include "apply/run_time_jumps.h"
#include "ruleset/own_table.h"
#include "ruleset/verify.h"

namespace rolewall::apply {
namespace {

using netlink::UnreadSet;
using ruleset::Set;
using ruleset::Table;

bool is_filled_by_hand(const Set& set) {
  return ruleset::own::holds_bans(set.name) || ruleset::own::holds_openings(set.name);
}

Table no_table_of_ours() {
  Table table;
  table.family = ruleset::kOwnFamily;
  table.name = ruleset::kOwnTable;
  return table;
}

// Bans and openings stay over applies.
std::vector<UnreadSet> take_bans(const netlink::TableInPart& live, Table& table) {
  std::vector<UnreadSet> unread;
  RunTimeSteps steps;
  for (Set& set : table.sets) {
    if (!is_filled_by_hand(set) || !set.elements.empty()) continue;
    const Set* now = find_set(live.table, set.name);
    if (now == nullptr || now->key != set.key || now->interval != set.interval) continue;
    set.elements = now->elements;
    const auto left_out = std::ranges::find(live.unread, set.name, &UnreadSet::name);
    if (left_out == live.unread.end()) continue;
    unread.push_back(*left_out);
    steps.bans |= ruleset::own::holds_bans(set.name);
    steps.openings |= ruleset::own::holds_openings(set.name);
  }
  add_run_time_jumps(table, steps | held_by(table));
  return unread;
}

Result<void> read_others(Kernel& kernel, InPart& before, InPart& after) {
  const Result<std::vector<Table>> there = kernel.tables();
  if (!there) return std::unexpected(there.error());
  for (const Table& other : *there) {
    if (is_own(other)) continue;
    auto read = kernel.read_table_in_part(other.family, other.name, kLargeSet);
    if (!read) return std::unexpected(std::move(read).error());
    if (!*read) continue;
    before.add((*read)->table, (*read)->unread);
    after.add(std::move((*read)->table), std::move((*read)->unread));
  }
  return {};
}

}  // namespace

void InPart::add(Table table, std::vector<UnreadSet> sets) {
  ruleset.tables.push_back(std::move(table));
  unread.push_back(std::move(sets));
}

void InPart::note_partial() {
  for (std::size_t i = 0; i < unread.size(); ++i) {
    for (const UnreadSet& set : unread[i]) {
      const Set* found = find_set(ruleset.tables[i], set.name);
      if (found != nullptr) partial[found].count = set.count;
    }
  }
}

Result<void> read_rulesets(Kernel& kernel, const std::optional<Table>& wanted, const Today& today,
                           InPart& before, InPart& after) {
  auto live = kernel.read_table_in_part(ruleset::kOwnFamily, ruleset::kOwnTable, kLargeSet);
  if (!live) return std::unexpected(std::move(live).error());
  const netlink::TableInPart now =
      *live ? std::move(**live) : netlink::TableInPart{.table = no_table_of_ours(), .unread = {}};
  const auto add_ours = [&](InPart& to, const std::optional<Table>& table) {
    Table ours = table ? *table : no_table_of_ours();
    std::vector<UnreadSet> unread = take_bans(now, ours);
    to.add(std::move(ours), std::move(unread));
  };
  if (today.confirmed) {
    add_ours(before, *today.confirmed);
  } else {
    before.add(now.table, now.unread);
  }
  add_ours(after, wanted);
  TRY(read_others(kernel, before, after));
  before.note_partial();
  after.note_partial();
  return {};
}

// What was read may be of a later day than its table, and name a chain that came since: then the
// set is undecided.
Result<bool> read_what_was_asked(Kernel& kernel, InPart& from) {
  bool any = false;
  for (Table& table : from.ruleset.tables) {
    bool reads = false;
    for (Set& set : table.sets) {
      const auto partial = from.partial.find(&set);
      if (partial == from.partial.end()) continue;
      for (const ruleset::Bytes& key : partial->second.asked) {
        TRY(kernel.read_element(table, set, key));
        reads = true;
      }
      partial->second.read.merge(partial->second.asked);
      partial->second.asked.clear();
      set.elements.sort();
    }
    any |= reads;
    if (!reads) continue;
    if (const auto flaw = ruleset::set_flaws_aside(table)) {
      return fail(ErrorKind::System, fmt::format("the kernel's table {} cannot be read: {}: {}",
                                                 table.name, flaw->path, flaw->what));
    }
  }
  return any;
}

}  // namespace rolewall::apply
