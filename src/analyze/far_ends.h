// What a rule decides about, when all that comes before it has had its packets: with whom. By its
// words a rule may admit the internet of which no packet comes so far.
#pragma once

#include <cstdint>
#include <functional>

#include "analyze/denotation.h"
#include "net/address_set.h"

namespace rolewall::analyze {

struct HostRules;
struct RuleSpace;

struct FarEnds {
  net::AddressSet addresses;
  std::uint32_t tcp_ports = 0;  // how many ports of TCP the packets go to
};

// Which of the rule's packets are asked about.
struct RuleShare {
  const policy::Rule& rule;             // in force on the host
  const policy::ServiceList& services;  // of these services; not given: of all
  bool sources = true;                  // whether sources are the far ends, or destinations
  const net::AddressSet& among;         // far ends
  // Whether a part of the answer will do; it costs less than the whole. Null: it will not.
  std::function<bool(const FarEnds&)> is_enough = nullptr;
};

// All that was asked about, where it would cost too much to tell what of it. May throw BudgetEnded.
FarEnds far_ends_of(RuleSpace& space, HostRules& host, const RuleShare& share);

}  // namespace rolewall::analyze
