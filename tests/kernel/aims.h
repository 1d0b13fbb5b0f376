// Packets made to run through one rule: what its expressions compare, and those of the rules that
// lead to its chain, is written into a packet's headers. Not every rule can be met so (a mark, an
// established connection); what cannot be written is left as it falls.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "boundaries.h"
#include "generator.h"
#include "random.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

// A rule, and by which rules a packet comes to its chain from a base chain's.
struct Aim {
  struct Step {
    std::uint32_t chain = 0;
    std::uint32_t rule = 0;
    bool operator==(const Step&) const = default;
  };
  std::uint32_t table = 0;
  ruleset::Hook hook = ruleset::Hook::Input;
  std::vector<Step> steps;  // the rule itself is the last
};

// One for each rule that a packet can come to, in order. Chains of families that no IP packet meets
// are left out.
std::vector<Aim> aims_of(const ruleset::Ruleset& ruleset);

// `host`: as the sandbox has it. A packet may be off its aim by a little, on purpose.
Question question_for(const Aim& aim, const ruleset::Ruleset& ruleset, const ruleset::Host& host,
                      const Boundaries& boundaries, Random& random);

// The Ethernet header that the sandbox puts before what arrives (sandbox/host.cc, wire.cc). What
// the packet has of one already gives the source.
void give_link_header(eval::Packet& packet, const ruleset::Host& host);

}  // namespace rolewall::kernel_judge
