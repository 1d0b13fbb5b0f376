#include "analyze/ruleset_facts.h"

#include "ruleset/expr.h"

namespace rolewall::analyze {

RulesetFacts::RulesetFacts(const ruleset::Ruleset& ruleset) {
  for (const ruleset::Table& table : ruleset.tables) tables_.emplace_back(table);
  for (std::uint32_t table = 0; table < ruleset.tables.size(); ++table) {
    tracking_ |= ruleset::tracking_of(tables_[table]);
    for (const ruleset::Chain& chain : ruleset.tables[table].chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          const auto* dynset = std::get_if<ruleset::Dynset>(&expr);
          if (dynset != nullptr) filled_.emplace(table, dynset->set);
        }
      }
    }
  }
}

}  // namespace rolewall::analyze
