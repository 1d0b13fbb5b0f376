// Parts of a ruleset, as rulesets.
#pragma once

#include <cstddef>

#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

// Rules are counted over all tables and chains, in order.
std::size_t count_rules(const ruleset::Ruleset& ruleset);

// Without the rules [from, to), and without the sets that no rule is left to name, where they have
// no name of their own: the kernel keeps none such.
ruleset::Ruleset without_rules(ruleset::Ruleset ruleset, std::size_t from, std::size_t to);

}  // namespace rolewall::kernel_judge
