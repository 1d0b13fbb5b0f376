// Which of a chain's rules may stay where they are, so that they keep their handles and counters:
// the longest run of equal rules that stand in the same order in both chains.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// For each wanted rule what it is in the live chain.
struct RuleMatch {
  std::optional<std::size_t> live;  // an equal rule there
  bool kept = false;                // that may stay; else it is taken away and made again
};

// `may_stay`: of a wanted rule, whether all that it names stays.
std::vector<RuleMatch> match_rules(const ruleset::Chain& live, const ruleset::Chain& wanted,
                                   const std::function<bool(const ruleset::Rule&)>& may_stay);

}  // namespace rolewall::apply
