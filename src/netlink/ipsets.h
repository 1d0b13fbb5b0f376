// The sets of ip_set, which rules of iptables' `set` match look up: a subsystem beside nf_tables.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::netlink {

// Every set of the network namespace with its elements, a line each, as `ipset restore` reads them:
// "create ssh hash:ip family inet ...", "add ssh 192.0.2.7". None where the kernel has no ip_set.
Result<std::vector<std::string>> read_ipsets();

// By which numbers rules name the sets of these lines. One that is gone meanwhile is left out.
Result<std::vector<ruleset::IpsetNumber>> read_ipset_numbers(const std::vector<std::string>& saved);

}  // namespace rolewall::netlink
