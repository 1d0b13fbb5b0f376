// What the kernel has counted and gathered in what must be made again under the same name.
#pragma once

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// What was added to `live` at run time and means something by being there (a ban, an opening) goes
// into `wanted`, with its remaining time: where that set is filled at run time and has keys of the
// same kind. Limits and counts of connections are made again by the next packet.
void carry_elements(const ruleset::Set& live, ruleset::Set& wanted);

// REQUIRES: equal but for handles and state.
void take_state(const ruleset::Rule& live, ruleset::Rule& wanted);

// Of two chains' first rules that differ: where both count all that comes, for the same rule of the
// policy, the count goes on.
void take_count(const ruleset::Rule& live, ruleset::Rule& wanted);

}  // namespace rolewall::apply
