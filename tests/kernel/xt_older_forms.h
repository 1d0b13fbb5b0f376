// What iptables writes as expressions of nf_tables today, and wrote as matches and targets before
// (1.8.7 and older: ports and flags of TCP and UDP, marks, limits, NFLOG).
#pragma once

#include "random.h"
#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

// REQUIRES: a rule as iptables 1.8.9 writes it.
void use_matches(ruleset::Rule& rule, Random& random);

}  // namespace rolewall::kernel_judge
