// Whether the dry run says of a real packet what the kernel has done with it: hook by hook the
// fate, the rule that decided, and every rule that ran to its end on the way. What the dry run
// cannot know of a packet that has passed (what a limit had counted, how a connection was
// translated before) is no difference; it is said that the two were not compared, and why.
#pragma once

#include <cstdint>
#include <string>

#include "cli/traced_packets.h"
#include "eval/eval.h"
#include "ruleset/snapshot.h"
#include "sandbox/observation.h"

namespace rolewall::cli {

enum class Agreement : std::uint8_t { Agrees, Differs, NotCompared };

struct DryRun {
  Agreement agreement = Agreement::Agrees;
  std::string why;      // Differs, NotCompared
  std::string verdict;  // what the dry run says, where it was asked: "accept"
};

class DryRunCheck {
 public:
  // Holds a reference: the snapshot must outlive it.
  explicit DryRunCheck(const ruleset::Snapshot& snapshot);

  DryRun check(const TracedPacket& packet, const sandbox::Observation& seen);

 private:
  DryRun check_as(const eval::Packet& packet, const TracedPacket& traced,
                  const sandbox::Observation& seen);
  // What differs first, and on which hook of the journey; "" where both agree.
  struct Difference {
    std::string what;
    ruleset::Hook hook = ruleset::Hook::Prerouting;
    bool by_the_stack = false;  // the kernel discards it outside of its chains
  };
  Difference difference(const eval::Journey& journey, const sandbox::Observation& seen) const;
  bool may_have_been_spent(const eval::Journey& journey, ruleset::Hook up_to) const;
  // REQUIRES: no end of a chain.
  template <class Step>
  const ruleset::Rule& rule_at(const Step& step) const {
    return snapshot_.ruleset.tables[step.table].chains[step.chain].rules[step.rule];
  }
  std::string name_of_rule(std::uint32_t table, std::uint32_t chain, std::uint32_t rule) const;

  const ruleset::Snapshot& snapshot_;
  eval::Evaluator evaluator_;
};

}  // namespace rolewall::cli
