// Hosts that are alike: the same rules are in force there, and every rule of the site says the same
// of their addresses. What is asked of one of them is answered for all.
#pragma once

#include <string>
#include <vector>

#include "policy/policy.h"

namespace rolewall::ask {

// What kinds of hosts do not tell apart, and rules do.
std::string virtual_addresses_of(const policy::Host& host);

class Alike {
 public:
  // REQUIRES: the policy was loaded without errors.
  Alike(const policy::Policy& policy, policy::Date date);

  // Of a host; the same number for hosts that are alike.
  std::size_t kind_of(policy::Index host) const { return kinds_[host]; }

  // The hosts, by what they are alike in, each list in the site's order.
  std::vector<std::vector<policy::Index>> groups(const std::vector<policy::Index>& hosts) const;

 private:
  std::vector<std::size_t> kinds_;  // by host
};

}  // namespace rolewall::ask
