// Which of IPv4 and IPv6 a part of a rule can match: a rule whose parts have none in common matches
// nothing.
#pragma once

#include <vector>

#include "policy/policy.h"

namespace rolewall::policy {

struct Families {
  bool ipv4 = false;
  bool ipv6 = false;
  bool none() const { return !ipv4 && !ipv6; }
};
Families operator&(Families a, Families b);

// `hosts`: those that the rule is for, whose addresses `self` stands for. Of a selector that
// subtracts, at most these.
Families families_of(const Policy& policy, const Selectors& selectors,
                     const std::vector<Index>& hosts);
Families families_of(const ServiceList& services);
Families families_of(const Translation& translation);

}  // namespace rolewall::policy
