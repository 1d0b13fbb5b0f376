// Random rulesets in nft's syntax about conversations: what connection tracking knows of a packet,
// on every hook, and translations of every kind. The same seed gives the same text.
#pragma once

#include <cstdint>

#include "ruleset/host.h"
#include "ruleset_text.h"

namespace rolewall::kernel_judge {

RulesetText generate_conversation_ruleset(std::uint64_t seed);

// The settings of connection tracking that it is tried with.
ruleset::ConntrackSettings generate_conntrack_settings(std::uint64_t seed);

}  // namespace rolewall::kernel_judge
