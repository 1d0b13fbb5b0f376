// What carries the tunnels that sessions go through, and those that this machine relays to itself:
// each outer flow, open and new.
#pragma once

#include "apply/lifelines.h"

namespace rolewall::apply {

// `tables`: ours, whose rules tell apart who may be at an end that is not known.
void add_tunnel_lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                          Lifelines& into);

}  // namespace rolewall::apply
