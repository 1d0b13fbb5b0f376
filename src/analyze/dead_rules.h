// Which of a host's rules do nothing: no packet is left for them, or the same would become of each
// without them. Asked of the policy (denotation.h), for all packets at once.
//
// The packets are those that begin a connection, or belong to none: what is established is no
// rule's matter. What a host sends bears one of its addresses, where it has any of the family.
// What comes from one of its own addresses comes over the loopback.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/denotation.h"

namespace rolewall::analyze {

// What has a rule's packets before it.
struct Blocker {
  const policy::Rule* rule = nullptr;  // null: a built-in step
  std::string by;
  bool same = false;                 // the same packets, no more and no fewer
  std::optional<eval::Packet> left;  // one that the rule would decide if this one went
};

struct RuleUse {
  const policy::Rule* rule = nullptr;
  bool decides = false;    // about some packet
  bool is_there = false;   // some packet of it can come
  bool redundant = false;  // it decides, and what comes after would do the same
  std::string instead;     // what would: a rule's full name or a step's, where it is one alone
  std::vector<Blocker> blockers;  // where it does not decide, though packets come
};

// Each rule that is in force on the host, once, but for those that are settled: their answer is
// known. REQUIRES: the policy was loaded without errors.
Answer<std::vector<RuleUse>> uses_of_rules(const policy::Policy& policy,
                                           const policy::HostPolicy& host,
                                           const std::set<const policy::Rule*>& settled,
                                           Budget budget = {});

}  // namespace rolewall::analyze
