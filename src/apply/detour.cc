#include "apply/detour.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <variant>

#include "apply/elements.h"
#include "apply/staging.h"
#include "ruleset/expr.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

// No name that the compiler gives ends so.
constexpr std::string_view kAside = ".new";

std::string aside(const std::string& set) {
  return set + std::string(kAside);
}

struct Renaming {
  std::string from;
  std::string to;
};

// In the rules; `sets_too`: and the sets themselves.
Table renamed(Table table, const std::vector<Renaming>& names, bool sets_too) {
  const auto rename = [&](std::string& name) {
    const auto at = std::ranges::find(names, name, &Renaming::from);
    if (at != names.end()) name = at->to;
  };
  for (Chain& chain : table.chains) {
    for (Rule& rule : chain.rules) {
      for (Expr& expr : rule.exprs) {
        if (auto* lookup = std::get_if<Lookup>(&expr)) rename(lookup->set);
      }
    }
  }
  if (!sets_too) return table;
  for (Set& set : table.sets) rename(set.name);
  return table;
}

// What makes `wanted` of `there`, where the sets `names[...].to` are filled already and rules still
// name `names[...].from`: they are made again with what they have counted.
Difference switch_names(const Table& there, const Table& wanted,
                        const std::vector<Renaming>& names) {
  Table as_named = renamed(there, names, false);
  for (Set& set : as_named.sets) {
    // As if it were declared otherwise, so that no rule that names it stays.
    if (std::ranges::find(names, set.name, &Renaming::to) != names.end())
      set.comment = set.comment.text() + "former";
  }
  Difference change = difference(as_named, wanted);
  for (const Renaming& name : names) {
    std::erase(change.change.removed_sets, name.to);
    std::erase_if(change.change.added_sets,
                  [&](std::size_t set) { return change.table.sets[set].name == name.to; });
  }
  return change;
}

// The sets `names[...].to` are filled, and then named.
Result<netlink::CommitResult> go(Kernel& kernel, const Belief& live, const Table& wanted,
                                 const std::vector<Renaming>& names) {
  Difference all;
  all.table = wanted;
  for (std::size_t i = 0; i < wanted.sets.size(); ++i) {
    // One of that name may be left of an apply that was killed: it is filled anew.
    const std::string& name = wanted.sets[i].name;
    if (find_set(*live.table, name) == nullptr ||
        std::ranges::find(names, name, &Renaming::to) != names.end()) {
      all.change.added_sets.push_back(i);
    }
  }
  Result<std::optional<Staged>> staged = stage(kernel, live, all);
  if (!staged) return std::unexpected(std::move(staged).error());
  if (!*staged) {
    return fail(ErrorKind::System, "a set is too large for a transaction", EMSGSIZE);
  }
  const Staged& there = **staged;
  Result<netlink::CommitResult> result =
      netlink::CommitResult{.generation_clash = there.refusals.empty(), .refusals = there.refusals};
  if (!there.clash) {
    const Difference change = switch_names(*there.live.table, wanted, names);
    result = kernel.change_table(change.table, change.change, there.live.mark.generation);
  }
  if (!result || !result->committed) unstage(kernel, live, there.live);
  return result;
}

}  // namespace

std::vector<std::string> large_changes_in_use(const Belief& live, const Difference& change) {
  std::vector<std::string> sets;
  if (!live.table || change.whole) return sets;
  for (std::size_t i = 0; i < change.table.sets.size(); ++i) {
    const Set& set = change.table.sets[i];
    const auto is_it = [&](const TableChange::Elements& part) {
      return part.set == i && part.elements.count() >= kLargeSet;
    };
    const bool changes =
        std::ranges::any_of(change.change.added_elements, is_it) ||
        std::ranges::any_of(change.change.removed_elements, is_it) ||
        std::ranges::find(change.change.removed_sets, set.name) != change.change.removed_sets.end();
    if (changes && is_large(set) && is_named(*live.table, set.name)) sets.push_back(set.name);
  }
  return sets;
}

Result<netlink::CommitResult> send_by_detour(Kernel& kernel, const Belief& live,
                                             const Difference& change,
                                             const std::vector<std::string>& sets) {
  std::vector<Renaming> there;
  std::vector<Renaming> back;
  for (const std::string& set : sets) {
    there.push_back({set, aside(set)});
    back.push_back({aside(set), set});
  }
  const Table on_the_way = renamed(change.table, there, true);
  Result<netlink::CommitResult> result = go(kernel, live, on_the_way, there);
  if (!result || !result->committed) return result;

  // In force. Whatever fails from here on leaves it so.
  netlink::CommitResult under_other_names = *result;
  under_other_names.generation = 0;
  const Belief made{.mark = {.generation = result->generation},
                    .table = std::make_shared<const Table>(on_the_way)};
  const Result<Found> reached = read_own_table(kernel, change.table, {made});
  if (!reached || reached->there.table == nullptr ||
      reached->there.mark.generation != result->generation) {
    return under_other_names;
  }
  const Result<netlink::CommitResult> home = go(kernel, reached->there, change.table, back);
  return home && home->committed ? home : under_other_names;
}

}  // namespace rolewall::apply
