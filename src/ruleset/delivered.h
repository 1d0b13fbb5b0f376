// Which destinations a machine's description says to be its own.
#pragma once

#include <vector>

#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::ruleset {

// The host's addresses, pools whole, but for those of the loopback; and what `ip route add local`
// says to be delivered here. An address that the kernel does not deliver to (an IPv6 address that
// another host has, or that is still being asked about, RFC 4862) has no route of type local,
// though a device bears it: it is none.
std::vector<net::Prefix> delivered_here(const Host& host);

// All that are known: `routes`, or those of the table local alone.
const std::vector<Route>& known_routes(const Host& host);

}  // namespace rolewall::ruleset
