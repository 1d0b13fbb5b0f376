// A host's lists of rules as packets meet them, and which packets come to each list: those that
// begin a connection, or belong to none. What a host sends bears one of its addresses, where it has
// any of the family. What bears one of its own addresses as its source, or a loopback address,
// comes over the loopback: from elsewhere the IP stack discards it (fib_validate_source() and
// ip_route_input_slow() in net/ipv4, ip6_rcv_core()). IPv4 looks at the destination after
// prerouting: by then it may be another.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "analyze/denotation.h"
#include "analyze/first_match.h"

namespace rolewall::analyze {

struct HostRules;
struct RuleSpace;

// A list, and the first of its steps that matches.
struct RuleList {
  std::vector<Denotation::Step> steps;
  FirstMatch first;
};

// By the way, and by the [[nat]] rule that has translated what comes.
using RuleLists = std::map<std::pair<policy::Direction, Denotation::Translating>, RuleList>;

class HostLists {
 public:
  using Steps = std::vector<Denotation::Step>;

  // Refers to both.
  HostLists(RuleSpace& space, HostRules& host);

  const Steps& early_steps();
  // What arrives has met the early rules before.
  Steps after_early(Steps steps);
  // As the packet comes, and as each translation makes it.
  std::vector<Denotation::Translating> translating(policy::Direction way) const;

  Diagram own(bool source);
  Diagram is_local(Part part);
  // `translated`: also what goes to 127.0.0.0/8 before a [[nat]] rule has changed that.
  Diagram arriving(bool translated = false);
  Diagram sent();
  // What comes to the rules of the way.
  Diagram realm_of(policy::Direction way, Denotation::Translating by);
  // Of them, what a [[nat]] rule may translate.
  Diagram translatable(Diagram realm);

  FirstMatch first_of(const Steps& steps, Diagram realm);
  // The list that has the rules of the way; of [[nat]] those that translate the destination.
  RuleList list_of(policy::Direction way, Denotation::Translating by);

 private:
  Diagram possible(Diagram set);
  Diagram as_translated(Denotation::Translating by);
  FirstMatch::Sides sides() const;

  policy::HostPolicy& host_;
  Diagrams& d_;
  PacketSpace& space_;
  Denotation& denotation_;
  std::optional<Steps> early_;
};

}  // namespace rolewall::analyze
