#include "ruleset/verify.h"

#include <fmt/format.h>

#include <functional>
#include <set>
#include <string_view>
#include <utility>

#include "ruleset/expr.h"
#include "ruleset/expr_name.h"
#include "ruleset/table_checker.h"

namespace rolewall::ruleset {
namespace {

// Where in a table something is wrong. `set_flaws_aside()` mends what is wrong at a place.
struct Place {
  enum class Kind : std::uint8_t {
    Table,
    Object,      // `first`
    Set,         // `first`
    Chain,       // `first`
    BasePolicy,  // of the chain `first`
    Rule,        // `second` of the chain `first`
    Expr,        // `third` of that rule
    Jumps,       // of the chain `first`: too deep, or in a circle
  };
  Kind kind = Kind::Table;
  std::size_t first = 0;
  std::size_t second = 0;
  std::size_t third = 0;

  std::string path() const {
    switch (kind) {
      case Kind::Table:
        return "";
      case Kind::Object:
        return fmt::format(".objects[{}]", first);
      case Kind::Set:
        return fmt::format(".sets[{}]", first);
      case Kind::Chain:
      case Kind::Jumps:
        return fmt::format(".chains[{}]", first);
      case Kind::BasePolicy:
        return fmt::format(".chains[{}].base.policy", first);
      case Kind::Rule:
        return fmt::format(".chains[{}].rules[{}]", first, second);
      case Kind::Expr:
        return fmt::format(".chains[{}].rules[{}].exprs[{}]", first, second, third);
    }
    return "";
  }
};

const Expr& expr_at(const Table& table, const Place& place) {
  return table.chains[place.first].rules[place.second].exprs[place.third];
}

// Whether to go on to the next flaw. What was found there may have been mended.
using Found = std::function<bool(const Place&, Wrong)>;

Wrong check_chain(const Chain& chain) {
  Wrong wrong = check_name(chain.name, "chain");
  return wrong.empty() ? check_comment(chain.comment) : wrong;
}

bool has_sound_policy(const Chain& chain) {
  return !chain.base || chain.base->policy == VerdictCode::Accept ||
         chain.base->policy == VerdictCode::Drop;
}

// Every flaw of the table in its order, until `found` says no.
void visit_flaws(const Table& table, const Found& found) {
  using Kind = Place::Kind;
  const auto good = [&](const Place& place, Wrong wrong) {
    return wrong.empty() || found(place, std::move(wrong));
  };
  TableChecker checker(table);
  if (!good({Kind::Table}, check_name(table.name, "table"))) return;
  if (!checker.names_are_unique() &&
      !found({Kind::Table}, "two sets, chains or objects have the same name")) {
    return;
  }
  if (!good({Kind::Table}, check_comment(table.comment))) return;
  for (std::size_t o = 0; o < table.objects.size(); ++o) {
    if (!good({Kind::Object, o}, check_object(table.objects[o]))) return;
  }
  for (std::size_t s = 0; s < table.sets.size(); ++s) {
    if (!good({Kind::Set, s}, checker.check_set(table.sets[s]))) return;
  }
  for (std::size_t c = 0; c < table.chains.size(); ++c) {
    const Chain& chain = table.chains[c];
    if (!good({Kind::Chain, c}, check_chain(chain))) return;
    if (!has_sound_policy(chain) &&
        !found({Kind::BasePolicy, c}, "the policy is neither accept nor drop")) {
      return;
    }
    for (std::size_t r = 0; r < chain.rules.size(); ++r) {
      const Rule& rule = chain.rules[r];
      if (!good({Kind::Rule, c, r}, check_comment(rule.comment))) return;
      for (std::size_t e = 0; e < rule.exprs.size(); ++e) {
        if (!good({Kind::Expr, c, r, e}, checker.check_expr(rule.exprs[e]))) return;
      }
    }
  }
  for (std::size_t c = 0; c < table.chains.size(); ++c) {
    if (!good({Kind::Jumps, c}, checker.check_depth(table.chains[c]))) return;
  }
}

// nft_table_lookup() knows a table by its family and name.
std::optional<Flaw> find_twins(const Ruleset& ruleset) {
  std::set<std::pair<Family, std::string_view>> seen;
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    const Table& table = ruleset.tables[t];
    if (!seen.emplace(table.family, table.name).second) {
      return Flaw{fmt::format("tables[{}]", t), "another table has the same family and name"};
    }
  }
  return std::nullopt;
}

// --- setting aside -----------------------------------------------------------------------------

void set_aside(Set& set, const Wrong& wrong, const TableChecker& checker) {
  if (set.unsupported.empty()) set.unsupported = wrong;
  set.elements = {};
  set.elements.key_size = set.key_size();
  set.elements.data_size = set.kind == SetKind::Map ? set.data.size : 0;
  if (checker.check_set(set).empty()) return;
  // It is declared wrongly.
  set.key.clear();
  set.data = {};
  set.exprs.clear();
  set.comment = {};
  set.elements = {};
}

bool jumps(const Expr& expr) {
  if (const auto* lookup = std::get_if<Lookup>(&expr)) {
    return lookup->result == LookupResult::Verdict;
  }
  const auto* immediate = std::get_if<ImmediateVerdict>(&expr);
  return immediate != nullptr && !immediate->verdict.chain.empty();
}

// False where it has no form that says so.
bool set_aside(Table& table, const Place& place, const Wrong& wrong) {
  using Kind = Place::Kind;
  switch (place.kind) {
    case Kind::Table:
    case Kind::Chain:
    case Kind::BasePolicy:
      return false;
    case Kind::Object: {
      Object& object = table.objects[place.first];
      object.body = Unsupported{"object", wrong};
      object.comment = {};
      return check_object(object).empty();
    }
    case Kind::Set:
      set_aside(table.sets[place.first], wrong, TableChecker(table));
      return check_name(table.sets[place.first].name, "set").empty();
    case Kind::Rule: {
      Rule& rule = table.chains[place.first].rules[place.second];
      rule.comment = {};
      rule.exprs.insert(rule.exprs.begin(), Unsupported{"rule", wrong});
      return true;
    }
    case Kind::Expr: {
      Expr& expr = table.chains[place.first].rules[place.second].exprs[place.third];
      expr = Unsupported{std::string(expr_name(expr)), wrong};
      return true;
    }
    case Kind::Jumps:
      for (Rule& rule : table.chains[place.first].rules) {
        for (Expr& expr : rule.exprs) {
          if (jumps(expr)) expr = Unsupported{std::string(expr_name(expr)), wrong};
        }
      }
      return true;
  }
  return false;
}

}  // namespace

std::optional<Flaw> verify(const Ruleset& ruleset) {
  std::optional<Flaw> flaw = find_twins(ruleset);
  for (std::size_t t = 0; t < ruleset.tables.size() && !flaw; ++t) {
    visit_flaws(ruleset.tables[t], [&](const Place& place, Wrong wrong) {
      flaw = Flaw{fmt::format("tables[{}]{}", t, place.path()), std::move(wrong)};
      if (place.kind == Place::Kind::Expr) {
        flaw->what =
            fmt::format("{}: {}", expr_name(expr_at(ruleset.tables[t], place)), flaw->what);
      }
      return false;
    });
  }
  return flaw;
}

std::optional<Flaw> set_flaws_aside(Table& table) {
  std::optional<Flaw> flaw;
  visit_flaws(table, [&](const Place& place, const Wrong& wrong) {
    if (set_aside(table, place, wrong)) return true;
    flaw = Flaw{place.path(), wrong};
    return false;
  });
  return flaw;
}

std::optional<Flaw> set_flaws_aside(Ruleset& ruleset) {
  if (auto twins = find_twins(ruleset)) return twins;
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    if (auto flaw = set_flaws_aside(ruleset.tables[t])) {
      return Flaw{fmt::format("tables[{}]{}", t, flaw->path), std::move(flaw->what)};
    }
  }
  return std::nullopt;
}

}  // namespace rolewall::ruleset
