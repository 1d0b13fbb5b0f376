// The machine that we run on, as a ruleset's host: for questions to its live ruleset, and for the
// file that `dump` writes.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::observe {

// Whether routes by several next hops are among the routes; else these are absent where there is
// one.
enum class NextHops { One, Several };

// Its name, and all that a packet's fate depends on and that the kernel shows: addresses, devices,
// routes and settings of the network namespace that we are in, the loopback left out.
Result<ruleset::Host> this_host(NextHops hops = NextHops::One);

// The addresses whose packets are delivered to this machine: its own, without the loopback's, and
// its networks' broadcast addresses.
Result<net::AddressSet> delivered_addresses();

}  // namespace rolewall::observe
