// The jumps from input and forward to bans and openings (compile/base_chains.h). Three lookups
// cost a new packet some 200 ns, and on most hosts nobody is banned: a table has these jumps only
// from its first ban or opening on.
#pragma once

#include <cstddef>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Whether the table has one of them, or should: it holds a ban or an opening.
bool wants_run_time_jumps(const ruleset::Table& table);

// Of a jump that was added: the number of the chain, and the place among its rules.
struct AddedJump {
  std::size_t chain = 0;
  std::size_t rule = 0;
};

// Adds those that are missing, each behind its chain's jump to what is unusual.
std::vector<AddedJump> add_run_time_jumps(ruleset::Table& table);

}  // namespace rolewall::apply
