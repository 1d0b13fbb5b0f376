// A set of addresses of both families as prefixes.
#pragma once

#include <vector>

#include "net/address.h"
#include "net/address_set.h"

namespace rolewall::net {

// The fewest that cover exactly the set: those of IPv4, then those of IPv6, in address order.
std::vector<Prefix> to_prefixes(const AddressSet& set);

}  // namespace rolewall::net
