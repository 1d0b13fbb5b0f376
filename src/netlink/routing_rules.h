// What `ip rule` lists: which tables a route is looked up in, and for which packets.
#pragma once

#include <vector>

#include "base/error.h"
#include "netlink/route_dump.h"
#include "ruleset/host.h"

namespace rolewall::netlink {

struct RoutingRules {
  std::vector<ruleset::RoutingRule> all;  // IPv4's, then IPv6's, each in the order of the kernel
  // False: routes are looked up otherwise than by the tables local, main and default: by a rule
  // more, one less, or in another order. A kernel without IPv6 has no rules for it.
  bool as_usual = true;
  bool local_first = true;  // whatever comes then
};

Result<RoutingRules> read_routing_rules(RouteDumper& dumper);

}  // namespace rolewall::netlink
