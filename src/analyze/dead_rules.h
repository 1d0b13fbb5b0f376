// Which of a host's rules do nothing: no packet is left for them, or the same would become of each
// without them. Asked of the policy (denotation.h), for all packets at once; which those are is in
// host_lists.h.
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
  // Where it does not decide, though packets come. `fewest`: no fewer would do; else it is not
  // known, and none of these can be left out.
  std::vector<Blocker> blockers;
  bool fewest = true;
};

// What other hosts have told of the rules.
struct KnownRules {
  std::set<const policy::Rule*> settled;    // not asked: a further host changes no answer
  std::set<const policy::Rule*> explained;  // their blockers are known
};

struct HostRules;
struct RuleSpace;

// Each rule that is in force on the host, once, but for those that are settled. REQUIRES: the
// policy was loaded without errors. May throw BudgetEnded.
std::vector<RuleUse> uses_of_rules(RuleSpace& space, const policy::Policy& policy, HostRules& host,
                                   const KnownRules& known);

// A rule that accepts, and all whose packets are denied all the same.
struct AcceptedInVain {
  const policy::Rule* rule = nullptr;
  std::string
      family;  // "IPv4" or "IPv6", where the rule has packets of both and loses one; else ""
  Direction direction = Direction::Arrive;
  eval::Packet packet;
};

// What becomes of packets where all tables are asked. The sets have no fields but those that every
// space has.
struct Denied {
  Diagram lost = kNothing;     // for certain not accepted: what the IP stack discards is of it, too
  Diagram by_rule = kNothing;  // those that a chain may drop or reject
};
struct DeniedPackets {
  const ruleset::Host& machine;
  Denied arriving;
  Denied sent;
};

// Of the rules that accept, those all of whose packets are lost, or all of one address family, some
// of them by a chain's word. Of packets by the machine's devices. May throw BudgetEnded.
std::vector<AcceptedInVain> accepted_in_vain(RuleSpace& space, const policy::Policy& policy,
                                             HostRules& host, const DeniedPackets& denied);

}  // namespace rolewall::analyze
