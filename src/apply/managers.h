// Whether a table admits ssh from all of management: every address of its networks at once, by the
// analyser, where the evaluator asks of one after the other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "net/address_set.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct ManagersAsked {
  struct Range {
    net::Address first;
    net::Address last;
    std::uint16_t port = 0;  // of the client, at which it may be denied
  };
  // Whether every address that may be denied by one of the devices is in `doubtful`, of which the
  // evaluator is to be asked. False: nothing is said of the others.
  bool complete = false;
  std::vector<Range> doubtful;
  std::string unknown;  // why nothing is known: the budget
};

// The table alone, while nothing was counted; a connection's first packet, from each port that a
// client may draw, and its answer.
// REQUIRES: its sets are read whole.
ManagersAsked ask_all_managers(const ruleset::Table& own, const ruleset::Host& machine,
                               const net::AddressSet& managers, const std::vector<Endpoint>& doors,
                               const std::vector<std::string>& devices);

}  // namespace rolewall::apply
