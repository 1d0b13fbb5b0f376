#include "analyze/places.h"

#include <algorithm>
#include <string>

#include "analyze/ruleset_facts.h"
#include "base/overloaded.h"
#include "ruleset/expr.h"

namespace rolewall::analyze {
namespace {

using ruleset::Chain;
using ruleset::Expr;
using ruleset::ExprVariant;
using ruleset::Rule;
using ruleset::Set;
using ruleset::Table;
using ruleset::TableIndex;

bool same_object(const TableIndex& a, const TableIndex& b, std::uint32_t type,
                 const std::string& name) {
  const ruleset::Object* of_a = a.object(type, name);
  const ruleset::Object* of_b = b.object(type, name);
  if (of_a == nullptr || of_b == nullptr) return of_a == of_b;
  // How much of a quota is left says what it lets through.
  if (std::holds_alternative<ruleset::Quota>(of_a->body)) return of_a->body == of_b->body;
  return ruleset::configuration(*of_a).body == ruleset::configuration(*of_b).body;
}

// Of sets that rules fill: all but what is in them.
bool same_kind(const Set& a, const Set& b) {
  return a.kind == b.kind && a.key == b.key && a.data == b.data && a.interval == b.interval &&
         a.size == b.size && a.timeout_ms == b.timeout_ms && a.exprs == b.exprs;
}

bool same_set(const TableIndex& a, const std::string& of_a, const TableIndex& b,
              const std::string& of_b) {
  const Set* set = a.set(of_a);
  const Set* other = b.set(of_b);
  if (set == nullptr || other == nullptr) return set == other;
  if (!set->anonymous && !other->anonymous) return of_a == of_b;
  return set->anonymous && other->anonymous && same_kind(*set, *other) &&
         set->elements == other->elements;
}

bool same_expr(const TableIndex& table, const Expr& a, const TableIndex& other, const Expr& b) {
  if (a.index() != b.index()) return false;
  const auto& to = static_cast<const ExprVariant&>(b);
  return std::visit(
      Overloaded{
          // What the kernel counts is no part of a rule.
          [](const ruleset::Counter&) { return true; },
          [](const ruleset::Last&) { return true; },
          [&](const ruleset::Lookup& lookup) {
            ruleset::Lookup same = std::get<ruleset::Lookup>(to);
            if (!same_set(table, lookup.set, other, same.set)) return false;
            same.set = lookup.set;
            return same == lookup;
          },
          [&](const ruleset::ObjectLookup& lookup) {
            ruleset::ObjectLookup same = std::get<ruleset::ObjectLookup>(to);
            if (!same_set(table, lookup.set, other, same.set)) return false;
            same.set = lookup.set;
            return same == lookup;
          },
          [&](const ruleset::Dynset& dynset) {
            const auto& same = std::get<ruleset::Dynset>(to);
            const Set* set = table.set(dynset.set);
            const Set* of_same = other.set(same.set);
            return dynset == same && set != nullptr && of_same != nullptr &&
                   same_kind(*set, *of_same);
          },
          [&](const ruleset::ObjectRef& object) {
            return object == std::get<ruleset::ObjectRef>(to) &&
                   same_object(table, other, object.type, object.name);
          },
          [&](const auto& expr) { return expr == std::get<std::decay_t<decltype(expr)>>(to); },
      },
      static_cast<const ExprVariant&>(a));
}

bool same_rule(const TableIndex& table, const Rule& a, const TableIndex& other, const Rule& b) {
  if (a.exprs.size() != b.exprs.size()) return false;
  for (std::size_t i = 0; i < a.exprs.size(); ++i) {
    if (!same_expr(table, a.exprs[i], other, b.exprs[i])) return false;
  }
  return true;
}

// Those of `to` that stand in order, as many as can be: the others are moved.
std::vector<bool> out_of_order(const std::vector<std::uint32_t>& to) {
  std::vector<std::size_t> ends;  // of the best run of each length
  std::vector<std::size_t> former(to.size(), to.size());
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == AlignedRules::kNone) continue;
    const auto at = std::ranges::lower_bound(ends, to[i], {}, [&](std::size_t k) { return to[k]; });
    if (at != ends.begin()) former[i] = *(at - 1);
    if (at == ends.end()) {
      ends.push_back(i);
    } else {
      *at = i;
    }
  }
  std::vector<bool> moved(to.size(), true);
  if (!ends.empty()) {
    for (std::size_t i = ends.back(); i != to.size(); i = former[i]) moved[i] = false;
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (to[i] == AlignedRules::kNone) moved[i] = false;
  }
  return moved;
}

}  // namespace

AlignedRules align_rules(const TableIndex& table, const Chain& chain, const TableIndex& other_table,
                         const Chain& other) {
  const auto& a = chain.rules;
  const auto& b = other.rules;
  AlignedRules aligned;
  aligned.to.assign(a.size(), AlignedRules::kNone);
  const auto same = [&](std::size_t i, std::size_t j) {
    return same_rule(table, a[i], other_table, b[j]);
  };
  std::size_t begin = 0;
  while (begin < a.size() && begin < b.size() && same(begin, begin)) {
    aligned.to[begin] = static_cast<std::uint32_t>(begin);
    ++begin;
  }
  std::size_t end = 0;
  while (end + begin < a.size() && end + begin < b.size() &&
         same(a.size() - 1 - end, b.size() - 1 - end)) {
    aligned.to[a.size() - 1 - end] = static_cast<std::uint32_t>(b.size() - 1 - end);
    ++end;
  }
  // Between them each takes the next that is the same, else the first.
  std::multimap<std::size_t, std::uint32_t> by_size;
  for (std::size_t j = begin; j + end < b.size(); ++j) {
    by_size.emplace(b[j].exprs.size(), static_cast<std::uint32_t>(j));
  }
  // What many rules are edited at once is not gone through for ever.
  std::size_t tries = 4'000'000;
  std::uint32_t last = 0;
  for (std::size_t i = begin; i + end < a.size(); ++i) {
    const auto [from, to] = by_size.equal_range(a[i].exprs.size());
    auto found = to;
    for (auto at = from; at != to && tries > 0; ++at) {
      --tries;
      if (found != to && at->second < last) continue;
      if (!same(i, at->second)) continue;
      found = at;
      if (at->second >= last) break;
    }
    if (found == to) continue;
    aligned.to[i] = found->second;
    last = found->second;
    by_size.erase(found);
  }
  aligned.moved = out_of_order(aligned.to);
  return aligned;
}

std::uint32_t Places::add(bool edited) {
  edited_.push_back(edited);
  if (edited) ++edits_;
  return static_cast<std::uint32_t>(edited_.size() - 1);
}

void Places::number_chain(const ruleset::TableIndex& table, const Chain& chain,
                          const ruleset::TableIndex& other_table, const Chain& other,
                          Numbers::Chain& numbers, Numbers::Chain& other_numbers) {
  const bool same_base = chain.base == other.base;
  numbers.policy = other_numbers.policy = add(!same_base);
  const AlignedRules aligned = align_rules(table, chain, other_table, other);
  other_numbers.rules.assign(other.rules.size(), 0);
  for (std::size_t i = 0; i < chain.rules.size(); ++i) {
    const bool both = aligned.to[i] != AlignedRules::kNone;
    numbers.rules.push_back(add(!both || aligned.moved[i]));
    if (both) other_numbers.rules[aligned.to[i]] = numbers.rules.back();
  }
  for (std::uint32_t& number : other_numbers.rules) {
    if (number == 0) number = add(true);
  }
}

Places::Places(std::span<const TableIndex> before, std::span<const TableIndex> after) {
  const auto make_room = [](std::span<const TableIndex> tables, Numbers& numbers) {
    for (const TableIndex& table : tables) {
      numbers.chains_.emplace_back().resize(table.table().chains.size());
    }
  };
  make_room(before, before_);
  make_room(after, after_);
  const Table no_table;
  const TableIndex none(no_table);
  const Chain empty;
  std::vector<std::vector<bool>> met;
  for (const TableIndex& table : after) met.emplace_back(table.table().chains.size(), false);
  for (std::size_t t = 0; t < before.size(); ++t) {
    const std::vector<Chain>& chains = before[t].table().chains;
    const std::size_t u = same_table(before[t], after);
    for (std::size_t c = 0; c < chains.size(); ++c) {
      const Chain* same = u == after.size() ? nullptr : after[u].chain(chains[c].name);
      if (same == nullptr) {
        Numbers::Chain ignored;
        number_chain(before[t], chains[c], none, empty, before_.chains_[t][c], ignored);
      } else {
        const auto d = static_cast<std::size_t>(same - after[u].table().chains.data());
        met[u][d] = true;
        number_chain(before[t], chains[c], after[u], *same, before_.chains_[t][c],
                     after_.chains_[u][d]);
      }
    }
  }
  for (std::size_t t = 0; t < after.size(); ++t) {
    for (std::size_t c = 0; c < met[t].size(); ++c) {
      if (met[t][c]) continue;
      Numbers::Chain ignored;
      number_chain(none, empty, after[t], after[t].table().chains[c], ignored,
                   after_.chains_[t][c]);
    }
  }
}

std::uint32_t Places::way(std::uint32_t calls, std::uint32_t place, std::string_view chain) {
  return ways_
      .emplace(std::tuple(calls, place, std::string(chain)),
               static_cast<std::uint32_t>(ways_.size()) + 1)
      .first->second;
}

std::uint32_t Places::logged(std::uint32_t before, const Told& told) {
  const auto at = static_cast<std::size_t>(std::ranges::find(logs_, told) - logs_.begin());
  if (at == logs_.size()) logs_.push_back(told);
  return logged_.emplace(std::pair(before, at), static_cast<std::uint32_t>(logged_.size()) + 1)
      .first->second;
}

}  // namespace rolewall::analyze
