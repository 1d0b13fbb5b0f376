// What the kernel has counted and gathered in what must be made again under the same name.
#pragma once

#include <string_view>

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// The set of the families for which bans and openings are looked up at all: those that have had
// one (compile/base_chains.cc).
inline constexpr std::string_view kRunTimeGate = "run-time";

// What opens the gate for a family.
ruleset::Elements gate_row(const ruleset::Set& gate, bool ipv4);

// What was added to `live` at run time and means something by being there (a ban, an opening) goes
// into `wanted`, with its remaining time: where that set is filled at run time and has keys of the
// same kind. Limits and counts of connections are made again by the next packet.
void carry_elements(const ruleset::Set& live, ruleset::Set& wanted);

// REQUIRES: equal but for handles and state.
void take_state(const ruleset::Rule& live, ruleset::Rule& wanted);

}  // namespace rolewall::apply
