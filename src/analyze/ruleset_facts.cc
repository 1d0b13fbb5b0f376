#include "analyze/ruleset_facts.h"

#include <algorithm>

#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/table_flags.h"
#include "ruleset/xt_target.h"

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
          if (const auto* target = std::get_if<ruleset::XtTarget>(&expr)) note_ipsets(*target);
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

void RulesetFacts::note_ipsets(const ruleset::XtTarget& target) {
  if (target.name != "SET") return;
  const auto meaning = ruleset::meaning_of(target);
  const auto* set = meaning ? std::get_if<ruleset::XtSetTarget>(&*meaning) : nullptr;
  if (set == nullptr) {
    may_change_any_ipset_ = true;
    return;
  }
  for (const auto* use : {&set->add, &set->remove}) {
    if (use->is_there()) changed_ipsets_.insert(use->number);
  }
}

bool RulesetFacts::may_change_ipset(const ruleset::Host& host, std::string_view name) const {
  return may_change_any_ipset_ || std::ranges::any_of(changed_ipsets_, [&](std::uint16_t number) {
           const auto at =
               std::ranges::find(host.ipset_numbers, number, &ruleset::IpsetNumber::number);
           return at == host.ipset_numbers.end() || at->name == name;
         });
}

std::size_t same_table(const ruleset::TableIndex& table,
                       std::span<const ruleset::TableIndex> among) {
  const auto at = std::ranges::find_if(among, [&](const ruleset::TableIndex& other) {
    return other.table().family == table.table().family && other.table().name == table.table().name;
  });
  return static_cast<std::size_t>(at - among.begin());
}

}  // namespace rolewall::analyze
