// Addresses that the code itself names: those of RFC 1918, link-local ones and the like.
#pragma once

#include <initializer_list>
#include <string_view>

#include "net/address_set.h"

namespace rolewall::net {

// Each must be a prefix; one that is none is our own mistake.
AddressSet known_addresses(std::initializer_list<std::string_view> prefixes);

// What no host sends from, and the kernel takes from nobody (ip_route_input_slow(),
// ip6_rcv_core()): groups and the broadcast address. The unspecified address is no such: whoever
// has none yet sends from it.
AddressSet no_sources();

}  // namespace rolewall::net
