// Random rulesets in nft's own syntax: tables of three families, base chains on every hook that the
// judge sees, chains that jump, sets, maps and rules. nft turns them into expressions, so that the
// evaluator is tried on what other people's rulesets are made of, not on what our compiler writes.
// The same seed gives the same text.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rolewall::kernel_judge {

struct ChainText {
  std::string name;
  std::string base;  // "type filter hook input priority 0; policy drop;", "" for others
  std::vector<std::string> rules;
  bool late = false;  // added when all tables are there
};

struct TableText {
  std::string family;
  std::string name;
  std::vector<std::string> sets;
  std::vector<ChainText> chains;
};

struct RulesetText {
  std::vector<TableText> tables;
};

RulesetText generate_ruleset(std::uint64_t seed);

// For `nft -f`: makes the tables anew.
std::string render(const RulesetText& ruleset);

}  // namespace rolewall::kernel_judge
