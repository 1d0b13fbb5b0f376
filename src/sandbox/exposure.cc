#include "sandbox/exposure.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"

namespace rolewall::sandbox {
namespace {

using ruleset::VerdictCode;
using namespace ruleset;

// The kernel's for a packet limit that names none (NFT_LIMIT_PKT_BURST_DEFAULT).
constexpr std::uint32_t kDefaultBurst = 5;

// The smaller, where 0 is no limit.
std::uint32_t sooner(std::uint32_t a, std::uint32_t b) {
  if (a == 0 || b == 0) return a + b;
  return std::min(a, b);
}

std::uint32_t patience_of(const Limit& limit) {
  if (limit.unit == LimitUnit::Bytes) return 1;  // a burst in bytes: no telling how many packets
  return limit.burst == 0 ? kDefaultBurst : limit.burst;
}

std::uint32_t patience_of(const Connlimit& limit) {
  return std::max(1U, limit.count);
}

std::uint32_t patience_of(const StatefulExpr& expr) {
  return visit_closed(Overloaded{
                          [](const OneOf<Counter, Last> auto&) { return 0U; },
                          [](const OneOf<Limit, Connlimit> auto& e) { return patience_of(e); },
                          [](const Quota&) { return 1U; },
                      },
                      expr);
}

std::uint32_t patience_of(const std::vector<StatefulExpr>& exprs) {
  std::uint32_t least = 0;
  for (const auto& expr : exprs) least = sooner(least, patience_of(expr));
  return least;
}

bool looks_up(const Rule& rule, std::string_view set) {
  return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
    const auto* lookup = std::get_if<Lookup>(&expr);
    return lookup != nullptr && lookup->set == set;
  });
}

bool is_looked_up(const Table& table, std::string_view set) {
  return std::ranges::any_of(table.chains, [&](const Chain& chain) {
    return std::ranges::any_of(chain.rules, [&](const Rule& rule) { return looks_up(rule, set); });
  });
}

std::uint32_t count_users(const Table& table, std::string_view set) {
  std::uint32_t count = 0;
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      count += static_cast<std::uint32_t>(std::ranges::count_if(rule.exprs, [&](const Expr& expr) {
        const auto* dynset = std::get_if<Dynset>(&expr);
        return dynset != nullptr && dynset->set == set;
      }));
    }
  }
  return count;
}

// What several rules share is for each of them its part.
std::uint32_t patience_of(const Table& table, const Dynset& dynset) {
  if (dynset.op == DynsetOp::Delete || is_looked_up(table, dynset.set)) return 1;
  std::uint32_t least = patience_of(dynset.exprs);
  if (const Set* set = find_set(table, dynset.set)) {
    least = sooner(least, patience_of(set->exprs));
    // What the set begins with leaves that much less room.
    if (set->size > 0) {
      const std::uint64_t taken = set->elements.count();
      const std::uint64_t room = set->size > taken ? set->size - taken : 1;
      least = sooner(least, static_cast<std::uint32_t>(room));
    }
  }
  const std::uint32_t users = std::max(1U, count_users(table, dynset.set));
  return least == 0 ? 0 : std::max(1U, least / users);
}

std::uint32_t patience_of(const Table& table, const Lookup& lookup) {
  const Set* set = find_set(table, lookup.set);
  if (set == nullptr) return 0;
  std::uint32_t least = patience_of(set->exprs);
  for (const auto& exprs : set->elements.exprs) least = sooner(least, patience_of(exprs));
  return least;
}

// What remembers, and does not say for how many packets it is alike.
std::uint32_t patience_of(Memory memory) {
  switch (memory) {
    case Memory::Nothing:
    case Memory::Count:
    case Memory::Flow:
      return 0;
    case Memory::Tokens:
    case Memory::Bytes:
    case Memory::Connections:
    case Memory::Number:
    case Memory::Elements:
    case Memory::Unknown:
      return 1;
  }
  return 1;
}

std::uint32_t patience_of(const TableIndex& names, const Expr& expr) {
  if (const auto* limit = std::get_if<Limit>(&expr)) return patience_of(*limit);
  if (const auto* limit = std::get_if<Connlimit>(&expr)) return patience_of(*limit);
  if (const auto* dynset = std::get_if<Dynset>(&expr)) return patience_of(names.table(), *dynset);
  if (const auto* lookup = std::get_if<Lookup>(&expr)) return patience_of(names.table(), *lookup);
  return patience_of(effects_of(expr, names).memory);
}

std::uint32_t patience(const TableIndex& names, const Rule& rule) {
  std::uint32_t least = 0;
  for (const Expr& expr : rule.exprs) least = sooner(least, patience_of(names, expr));
  return least;
}

}  // namespace

std::uint32_t patience(const Table& table, const Rule& rule) {
  return patience(TableIndex(table), rule);
}

namespace {

// How often one packet may come to each chain: 2 stands for more.
class Visits {
 public:
  explicit Visits(const Table& table) : table_(table), known_(table.chains.size()) {}

  std::uint32_t of(std::size_t chain) {
    if (const auto known = known_[chain]) return *known;
    known_[chain] = 2;  // a loop, which the kernel refuses
    std::uint32_t visits = table_.chains[chain].base ? 1 : 0;
    for (std::size_t from = 0; from < table_.chains.size() && visits < 2; ++from) {
      for (const Rule& rule : table_.chains[from].rules) {
        if (leads_to(rule, table_.chains[chain].name)) visits += of(from);
      }
    }
    visits = std::min(visits, 2U);
    known_[chain] = visits;
    return visits;
  }

 private:
  // A map's elements count once: a packet meets one of them.
  bool leads_to(const Rule& rule, std::string_view chain) const {
    return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
      if (const auto* immediate = std::get_if<ImmediateVerdict>(&expr)) {
        return immediate->verdict.chain == chain;
      }
      const auto* lookup = std::get_if<Lookup>(&expr);
      const Set* set = lookup == nullptr ? nullptr : find_set(table_, lookup->set);
      if (set == nullptr) return false;
      const auto names_it = [&](const Verdict& verdict) { return verdict.chain == chain; };
      return names_it(set->elements.catch_all_verdict) ||
             std::ranges::any_of(set->elements.verdicts, names_it);
    });
  }

  const Table& table_;
  std::vector<std::optional<std::uint32_t>> known_;
};

}  // namespace

Exposure::Exposure(const Ruleset& ruleset) {
  budgets_.resize(ruleset.tables.size());
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    const Table& table = ruleset.tables[t];
    if (table.family == Family::Netdev) untold_.push_back(static_cast<std::uint32_t>(t));
    budgets_[t].resize(table.chains.size());
    const TableIndex names(table);
    Visits visits(table);
    for (std::size_t c = 0; c < table.chains.size(); ++c) {
      const auto& rules = table.chains[c].rules;
      for (std::uint32_t r = 0; r < rules.size(); ++r) {
        if (const std::uint32_t burst = patience(names, rules[r]); burst > 0) {
          // What one packet may spend several times over is new for each packet.
          budgets_[t][c].push_back({r, visits.of(c) > 1 ? 1 : burst, 0});
        }
      }
    }
  }
}

void Exposure::spend(std::uint32_t table, std::uint32_t chain, std::uint32_t from,
                     std::uint32_t to) {
  for (Budget& budget : budgets_[table][chain]) {
    if (budget.rule < from || budget.rule >= to) continue;
    if (++budget.spent >= budget.burst) exhausted_ = true;
  }
}

void Exposure::add(const Observation& observation) {
  struct Frame {
    std::uint32_t chain = 0;
    std::uint32_t next = 0;  // the first rule that has not been run
  };
  for (const std::uint32_t table : untold_) {
    for (std::uint32_t chain = 0; chain < budgets_[table].size(); ++chain) {
      spend(table, chain, 0, Step::kEnd);
    }
  }
  std::vector<Frame> stack;
  bool begun = false;  // a rule of the base chain that is running has been told of
  for (const HookObservation& hook : observation.hooks) {
    for (const Step& step : hook.path) {
      const bool is_end = step.rule == Step::kEnd;
      const bool is_policy = is_end && step.verdict.code != VerdictCode::Return;
      if (stack.empty() || stack.back().chain != step.chain) {
        // What a goto or a return has left gives its policy, and runs no more rules.
        if (is_policy && begun) {
          begun = false;
          stack.clear();
          continue;
        }
        stack.push_back({step.chain, 0});
      }
      const std::uint32_t end = is_end ? Step::kEnd : step.rule + 1;
      spend(step.table, step.chain, stack.back().next, end);
      stack.back().next = end;
      begun = true;
      switch (step.verdict.code) {
        case VerdictCode::Continue:
        case VerdictCode::Break:
        case VerdictCode::Jump:
          break;
        case VerdictCode::Goto:
        case VerdictCode::Return:
          stack.pop_back();
          break;
        case VerdictCode::Accept:
        case VerdictCode::Drop:
        case VerdictCode::Queue:
          stack.clear();
          begun = false;
          break;
      }
    }
  }
}

bool Exposure::begun() const {
  for (const auto& table : budgets_) {
    for (const auto& chain : table) {
      if (std::ranges::any_of(chain, [](const Budget& budget) { return budget.spent > 0; })) {
        return true;
      }
    }
  }
  return false;
}

void Exposure::exhaust() {
  for (const auto& table : budgets_) {
    for (const auto& chain : table) exhausted_ = exhausted_ || !chain.empty();
  }
}

void Exposure::reset() {
  for (auto& table : budgets_) {
    for (auto& chain : table) {
      for (Budget& budget : chain) budget.spent = 0;
    }
  }
  exhausted_ = false;
}

}  // namespace rolewall::sandbox
