// A ruleset of one base chain at input that drops by default, for the tests of this folder.
#pragma once

#include <utility>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::analyze::test {

inline ruleset::Ruleset with_input(std::vector<ruleset::Rule> rules) {
  ruleset::Ruleset ruleset;
  ruleset::Table& table = ruleset.tables.emplace_back();
  table.name = "t";
  ruleset::Chain& chain = table.chains.emplace_back();
  chain.name = "input";
  chain.base = ruleset::BaseChain{
      ruleset::ChainType::Filter, ruleset::Hook::Input, 0, ruleset::VerdictCode::Drop, {}};
  chain.rules = std::move(rules);
  return ruleset;
}

}  // namespace rolewall::analyze::test
