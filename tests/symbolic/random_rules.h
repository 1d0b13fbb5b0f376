// Rulesets as nft writes them, over a small universe: few addresses, ports, devices and marks, so
// that rules overlap and random packets hit their edges. Chains that jump, go and return, sets,
// ranges, concatenations, verdict maps, maps, limits, translations, several tables. The same seed
// gives the same ruleset.
#pragma once

#include <cstdint>

#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::symbolic {

// `with_bridge`: its second device is one, with br_netfilter.
ruleset::Host host_of_universe(bool forwards, bool with_bridge = false);
ruleset::Ruleset random_rules(std::uint64_t seed);

}  // namespace rolewall::symbolic
