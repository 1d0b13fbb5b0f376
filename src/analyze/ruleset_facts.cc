#include "analyze/ruleset_facts.h"

#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/table_flags.h"

namespace rolewall::analyze {

RulesetFacts::RulesetFacts(const ruleset::Ruleset& ruleset) {
  for (const ruleset::Table& table : ruleset.tables) tables_.emplace_back(table);
  for (std::uint32_t table = 0; table < ruleset.tables.size(); ++table) {
    tracking_ |= ruleset::tracking_of(tables_[table]);
    const ruleset::Family family = ruleset.tables[table].family;
    const bool is_met = (ruleset.tables[table].flags & ruleset::kTableDormant) == 0;
    if (is_met && ruleset::may_translate(tables_[table])) {
      translates_ipv4_ |= family == ruleset::Family::Ip || family == ruleset::Family::Inet;
      translates_ipv6_ |= family == ruleset::Family::Ip6 || family == ruleset::Family::Inet;
    }
    for (const ruleset::Chain& chain : ruleset.tables[table].chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          if (is_met && ruleset::hands_to_flowtable(expr)) offloads_ = true;
          const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
          if (dynset == nullptr) continue;
          filled_.emplace(table, dynset->set);
          if (dynset->op == ruleset::DynsetOp::Delete) {
            emptied_.emplace(table, dynset->set);
          } else {
            Adders& adders = adders_[{table, dynset->set}];
            ++adders.rules;
            adders.count = adders.count || !dynset->exprs.empty();
          }
        }
      }
    }
  }
}

}  // namespace rolewall::analyze
