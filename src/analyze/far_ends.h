// What a rule decides about, when all that comes before it has had its packets: with whom. By its
// words a rule may admit the internet of which no packet comes so far.
#pragma once

#include <cstdint>

#include "analyze/denotation.h"
#include "net/address_set.h"

namespace rolewall::analyze {

struct HostRules;
struct RuleSpace;

// Which of the rule's packets are asked about.
struct RuleShare {
  const policy::Rule& rule;             // in force on the host
  const policy::ServiceList& services;  // of these services; not given: of all
  bool sources = true;                  // whether sources are the far ends, or destinations
  const net::AddressSet& among;         // far ends
};

struct FarEnds {
  net::AddressSet addresses;    // `among` where they are too many to list
  std::uint32_t tcp_ports = 0;  // how many ports of TCP the packets go to
};

// May throw BudgetEnded.
FarEnds far_ends_of(RuleSpace& space, HostRules& host, const RuleShare& share);

}  // namespace rolewall::analyze
