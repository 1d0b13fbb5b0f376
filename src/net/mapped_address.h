// IPv4 addresses as a program shows them that listens on both families by one socket:
// "::ffff:192.0.2.7" (RFC 4291 2.5.5.2). No packet bears such an address; whoever copies one from a
// log into a ban, a rule or a list means the IPv4 address.
#pragma once

#include "net/address.h"

namespace rolewall::net {

// The IPv4 address or prefix where it is mapped whole; else what it was.
Address unmapped(const Address& address);
Prefix unmapped(const Prefix& prefix);

}  // namespace rolewall::net
