// What rtnetlink says of the machine that we run on: the links, addresses and routes of the calling
// thread's network namespace.
#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::netlink {

struct Machine {
  std::vector<ruleset::Interface> interfaces;  // without the loopback; named as their devices
  std::vector<net::Prefix> addresses;          // without the loopback's; whole addresses
  bool leases_ipv4 = false;                    // one of the addresses is lent for a time: DHCP
  // Absent where a lookup is more than the longest prefix of the tables local, main and default:
  // rules of `ip rule` beside the kernel's own, routes by several ways or by type of service.
  std::optional<std::vector<ruleset::Route>> routes;
};

Result<Machine> read_machine();

}  // namespace rolewall::netlink
