// What keeps the routes to this host, and the addresses that it shares with others: the packets of
// routing protocols and of VRRP, where a program of this host speaks them.
#pragma once

#include <vector>

#include "apply/lifelines.h"

namespace rolewall::apply {

void add_routing_lifelines(const GuardFacts& facts,
                           const std::vector<const ruleset::Table*>& tables, Lifelines& into);

}  // namespace rolewall::apply
