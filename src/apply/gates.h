// The chains that lead from input and forward to bans and openings (compile/base_chains.h). Each is
// empty, which costs a packet next to nothing, until there is something to ask about; from then on
// it holds a jump.
#pragma once

#include <cstddef>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// Whether one of them is open, or should be: the table holds a ban or an opening.
bool wants_open_gates(const ruleset::Table& table);

// Gives them their jumps; returns the numbers of the chains that had none.
std::vector<std::size_t> open_gates(ruleset::Table& table);

}  // namespace rolewall::apply
