// The rules of a site's hosts, for all packets at once, in one space: what several hosts' rules say
// is the same diagram, so that hosts that are alike cost little more than one of them.
//
// The packets are those that begin a connection, or belong to none: what is established is no
// rule's matter. What an audit lets pass is judged as it will be.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/dead_rules.h"
#include "analyze/denotation.h"
#include "analyze/far_ends.h"
#include "analyze/host_lists.h"

namespace rolewall::analyze {

// One host's rules in a space.
struct HostRules {
  policy::HostPolicy policy;  // enforced
  RunTime run_time;           // none
  std::unique_ptr<Denotation> denotation;
  std::optional<Diagram> sends;  // what it lets out to others
  std::optional<Diagram> takes;  // what it lets in from others, by headers alone
  RuleLists lists;               // those that were asked of last
};

struct RuleSpace {
  explicit RuleSpace(Budget budget) : diagrams(budget), packets(diagrams, true) {}
  Diagrams diagrams;
  PacketSpace packets;
  Meanings meanings;
  std::map<policy::Index, HostRules> hosts;
  HostRules* listed = nullptr;  // the one whose lists are kept: of all hosts they would be many
  // What does not depend on the host, by what it is made of.
  Denotation::Shared shared;
  std::map<std::vector<std::pair<Diagram, Diagram>>, Diagram> accepted;  // by the steps
};

class SiteRules {
 public:
  // Refers to the policy. The budget is for one question.
  explicit SiteRules(const policy::Policy& policy, Budget budget = {})
      : policy_(policy), budget_(budget) {}

  Answer<std::vector<RuleUse>> uses(const policy::HostPolicy& host, const KnownRules& known);

  Answer<FarEnds> far_ends(const policy::HostPolicy& host, const RuleShare& share);

  // The host's rules that accept what the machine denies by another table. REQUIRES: `together` is
  // of the host, its own table as the policy has it among the others.
  Answer<std::vector<AcceptedInVain>> accepted_in_vain(const policy::HostPolicy& host,
                                                       Analysis& together);

  // Whether some packet of the services from one of the senders to one of the receivers is let out
  // by the one and in by the other, whatever is counted. What a host sends to itself is no such
  // packet. REQUIRES: none of them translates addresses.
  struct Flow {
    const policy::ServiceList& services;
    std::span<const policy::HostPolicy* const> senders;
    std::span<const policy::HostPolicy* const> receivers;
  };
  Answer<bool> passes(const Flow& flow);

 private:
  template <class Work>
  auto within(const Work& work) -> Answer<decltype(work())>;
  HostRules& rules_of(const policy::HostPolicy& host);
  Diagram accepted(HostRules& host, policy::Direction way);
  Diagram with_others(HostRules& host, Diagram own, Part device);
  Diagram sends(HostRules& host);
  Diagram takes(HostRules& host);

  const policy::Policy& policy_;
  Budget budget_;
  std::unique_ptr<RuleSpace> space_;
};

}  // namespace rolewall::analyze
