// Whom this machine asks for names.
#pragma once

#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::observe {

// Of resolv.conf(5), and behind systemd-resolved of its own list.
std::vector<net::Address> resolvers();

// Where resolv.conf(5) names a program of this host's (dnsmasq, unbound): whom this host asks for
// names now. Who has also opened something here is left out: whoever attacks may see to it that a
// name server of his is asked.
Result<std::vector<net::Address>> asked_by_own_resolver();

}  // namespace rolewall::observe
