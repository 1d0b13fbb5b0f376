#include "reduce.h"

#include <set>
#include <string>
#include <variant>
#include <vector>

#include "ruleset/expr.h"

namespace rolewall::kernel_judge {

std::size_t count_rules(const ruleset::Ruleset& ruleset) {
  std::size_t count = 0;
  for (const auto& table : ruleset.tables) {
    for (const auto& chain : table.chains) count += chain.rules.size();
  }
  return count;
}

ruleset::Ruleset without_rules(ruleset::Ruleset ruleset, std::size_t from, std::size_t to) {
  std::size_t number = 0;
  for (ruleset::Table& table : ruleset.tables) {
    std::set<std::string> used;
    for (ruleset::Chain& chain : table.chains) {
      std::erase_if(chain.rules, [&](const ruleset::Rule&) {
        const bool gone = number >= from && number < to;
        ++number;
        return gone;
      });
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          if (const auto* lookup = std::get_if<ruleset::Lookup>(&expr)) used.insert(lookup->set);
          if (const auto* dynset = std::get_if<ruleset::Dynset>(&expr)) used.insert(dynset->set);
          if (const auto* objects = std::get_if<ruleset::ObjectLookup>(&expr)) {
            used.insert(objects->set);
          }
        }
      }
    }
    std::erase_if(table.sets, [&](const ruleset::Set& set) {
      return set.anonymous && !used.contains(set.name);
    });
  }
  return ruleset;
}

}  // namespace rolewall::kernel_judge
