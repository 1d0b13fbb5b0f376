// What carries the tunnels that sessions go through, and those that this machine relays to itself:
// each outer flow, open and new.
#pragma once

#include "apply/lifelines.h"

namespace rolewall::apply {

void add_tunnel_lifelines(const GuardFacts& facts, Lifelines& into);

}  // namespace rolewall::apply
