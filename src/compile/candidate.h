// A rule on its way through dispatch: what of its match the maps above have not settled yet.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compile/address_sets.h"
#include "compile/lower.h"
#include "compile/match.h"
#include "ruleset/ruleset.h"

namespace rolewall::compile {

// Of the rule's conditions these are still to be tested: what `service_settled` and its like do not
// say is settled, and all others (lower.h, Conditions).
struct Candidate {
  const LoweredRule* rule = nullptr;
  bool service_settled = false;  // else one of `traffic` must hold
  std::vector<Traffic> traffic;  // disjoint
  bool source_settled = false;
  bool destination_settled = false;
  Families families;  // that a packet can be of, where this is tested

  // Whether every packet that comes here matches: nothing is left to test.
  bool unconditional() const;
};

// Where a packet's ends are read: in its headers, or in conntrack's original tuple, which keeps
// what the client wrote, before any translation. What changes a source comes after all that tests
// it, so that its header will do, but for answers: of these both ends are read there. In the tuple
// of the reply, a connection's ends stand in the other order: who was asked is the source.
enum class Ends : std::uint8_t { Written, OriginalDestination, Original, Reply };

// One way to satisfy a rule's conditions, or a part of them.
struct Way {
  std::optional<match::IpVersion> version;  // it holds in that family alone
  match::Exprs exprs;
};

// The ways in which a packet can match what is unsettled; no packet matches two of them. Their
// expressions test the family, too.
std::vector<Way> ways_to_match(const Candidate& candidate, AddressSets& sets, Ends ends);

Candidate fresh_candidate(const LoweredRule& rule);

// The nftables rules that jump to the rule's chain where all that is unsettled holds, tested one
// after the other; no packet matches two of them. They bear the rule's id as comment.
std::vector<ruleset::Rule> linear_rules(const Candidate& candidate, AddressSets& sets,
                                        Ends ends = Ends::Written);

// How many rules that would be, roughly; what a map would save.
std::size_t linear_cost(const Candidate& candidate);

// Equal for two lists that test the same of the same rules, which one chain can serve.
std::string signature(const std::vector<Candidate>& list);

}  // namespace rolewall::compile
