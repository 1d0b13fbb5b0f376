// Whether a compiled ruleset does what the policy says, for all packets at once: the same fate, the
// same translation, the same answer to what is rejected, and by the same line. The one side is the
// ruleset's own expressions (machine.h), the other the policy's denotation (denotation.h).
//
// Where a limit decides, both are asked with the same answer: what is over a rule's limit is so at
// each place where the ruleset counts for this rule. What the IP stack itself discards no policy
// decides, and what is passed on leaves by some device.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/denotation.h"
#include "analyze/meaning.h"
#include "analyze/places.h"

namespace rolewall::analyze {

// A packet of which they say different things.
struct Disagreement {
  Direction direction = Direction::Arrive;
  eval::Packet packet;
  std::vector<std::string> where;  // what is taken for what is free: "it is over the limit of R"
  Meaning of_policy;
  Meaning of_ruleset;
};

class Agreement {
 public:
  // Refers to all of them. REQUIRES: verify() found no flaw in the ruleset, which is our own table.
  Agreement(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
            const policy::Policy& policy, const policy::HostPolicy& effective,
            const RunTime& run_time, Budget budget = {});
  ~Agreement();
  Agreement(const Agreement&) = delete;
  Agreement& operator=(const Agreement&) = delete;

  // Nothing: they agree about every packet. NotProven: the budget ended, or it hangs on what is not
  // modelled, which `why` names.
  Answer<std::optional<Disagreement>> find(Direction direction);

  Diagrams& diagrams() { return *diagrams_; }

 private:
  struct Sides;
  std::optional<Disagreement> search(Direction direction);
  void number_lines();
  Meaning meaning_of(const Machine& machine, const Outcome& outcome);
  void align(Sides& sides, FieldId field);
  Diagram assumed(Diagram set);
  Diagram without_what_is_not_modelled(const Sides& sides, Diagram set);
  std::string what_is_open(const Sides& sides, Diagram set);
  Disagreement shown(const Sides& sides, Direction direction, Diagram set);

  const ruleset::Ruleset& ruleset_;
  const ruleset::Host& host_;
  std::unique_ptr<Diagrams> diagrams_;
  std::unique_ptr<PacketSpace> space_;
  std::shared_ptr<const RulesetFacts> facts_;
  Places places_;
  Shared shared_;
  Meanings meanings_;
  Denotation denotation_;
  std::map<std::uint32_t, RulePlace> lines_;             // by Places' numbers
  std::map<std::uint32_t, std::string> chain_policies_;  // likewise: whose policy
};

}  // namespace rolewall::analyze
