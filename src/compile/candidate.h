// A rule on its way through dispatch: what of its match the maps above have not settled yet.
#pragma once

#include <vector>

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "ruleset/ruleset.h"

namespace rolewall::compile {

struct Candidate {
  const LoweredRule* rule = nullptr;
  bool service_settled = false;  // else one of `traffic` must hold
  std::vector<Traffic> traffic;  // disjoint
  bool source_settled = false;
  bool destination_settled = false;
  Families families;  // that a packet can be of, where this is tested

  bool unconditional() const {
    return service_settled && source_settled && destination_settled && rule->in_devices.empty() &&
           rule->out_devices.empty() && !rule->user;
  }
};

// Where a packet's destination is read: its headers, or (after destination NAT) what the client
// wrote, as conntrack's original tuple keeps it. NAT of a source comes after all of these.
enum class Destination : std::uint8_t { Written, Original };

// The ways in which a packet can match what is unsettled, each a list of conditions; no packet
// matches two of them.
std::vector<match::Exprs> conditions(const Candidate& candidate, AddressSets& sets,
                                     Destination destination);

Candidate fresh_candidate(const LoweredRule& rule);

// The nftables rules that jump to the rule's chain where all that is unsettled holds, tested one
// after the other; no packet matches two of them. They bear the rule's id as comment.
std::vector<ruleset::Rule> linear_rules(const Candidate& candidate, AddressSets& sets,
                                        Destination destination = Destination::Written);

// How many rules that would be, roughly; what a map would save.
std::size_t linear_cost(const Candidate& candidate);

}  // namespace rolewall::compile
