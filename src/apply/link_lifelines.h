// What keeps a session alive on the links of this machine: neighbour discovery, router
// advertisements, DHCP.
#pragma once

#include <vector>

#include "apply/lifelines.h"

namespace rolewall::apply {

void add_link_lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                        Lifelines& into);

}  // namespace rolewall::apply
