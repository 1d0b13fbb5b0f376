// The jumps from input and forward to bans and openings (compile/base_chains.h). Three lookups
// cost a new packet some 200 ns, and on most hosts nobody is banned: a table has these jumps only
// from its first ban or opening on.
#pragma once

#include <vector>

#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Whether the table has one of them, or should: it holds a ban or an opening.
bool wants_run_time_jumps(const ruleset::Table& table);

// Adds those that are missing, each behind its chain's jump to what is unusual; returns what a
// change of the table says of them.
std::vector<ruleset::TableChange::RuleAddition> add_run_time_jumps(ruleset::Table& table);

}  // namespace rolewall::apply
