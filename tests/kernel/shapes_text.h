// Random rulesets for conversations, of the shapes that conversation_text.h has not: up to three
// tables with chains of many priorities, also between the kernel's own parts; chains that jump;
// verdict maps by connection, interval and concatenation; sets and maps that packets fill, with
// what counts in their elements; maps of objects; and translations of each form that nft writes
// (maps of addresses and ports, networks onto networks, ranges of ports, chains one after another).
// The same seed gives the same text.
#pragma once

#include <cstdint>

#include "ruleset_text.h"

namespace rolewall::kernel_judge {

RulesetText generate_shapes(std::uint64_t seed);

}  // namespace rolewall::kernel_judge
