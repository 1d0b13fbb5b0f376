// Whether a table admits ssh from all of management: every address of its networks at once, by the
// analyser, where the evaluator asks of one after the other.
#pragma once

#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "net/address_set.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct ManagersAsked {
  // No address is denied, by any of the devices. False: some may be, or it is not known.
  bool all_admitted = false;
  // Of those that may be denied, some: the evaluator is to be asked.
  std::vector<net::Address> doubtful;
  std::string unknown;  // why nothing is known: the budget
};

// The table alone, while nothing was counted; a connection's first packet, and its answer.
// REQUIRES: its sets are read whole.
ManagersAsked ask_all_managers(const ruleset::Table& own, const ruleset::Host& machine,
                               const net::AddressSet& managers, const std::vector<Endpoint>& doors,
                               const std::vector<std::string>& devices);

}  // namespace rolewall::apply
