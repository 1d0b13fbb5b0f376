// Random rulesets of what random ones cannot hold without confusing a trace: chains on the devices'
// own hooks, and actions that send packets elsewhere (dup, fwd, tproxy, synproxy). Every rule
// counts, and nothing in it remembers.
#pragma once

#include <cstdint>

#include "ruleset_text.h"

namespace rolewall::kernel_judge {

// Packets without this mark are none of ours: the chains let them pass uncounted.
inline constexpr std::uint32_t kDeviceMark = 0xd00d;
// Where a program listens that takes what is for others.
inline constexpr std::uint16_t kTransparentPort = 50080;
// Copies, and what is sent elsewhere, leave by this device, which has no chains.
inline constexpr const char* kAside = "eth2";

RulesetText generate_device_ruleset(std::uint64_t seed);

}  // namespace rolewall::kernel_judge
