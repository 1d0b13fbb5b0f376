// Whom this machine asks for names.
#pragma once

#include <vector>

#include "net/address.h"

namespace rolewall::observe {

// Of resolv.conf(5), and behind systemd-resolved of its own list.
std::vector<net::Address> resolvers();

}  // namespace rolewall::observe
