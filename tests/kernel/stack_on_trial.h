// What the IP stack of the host on trial is set to: it differs from ruleset to ruleset, as it does
// from machine to machine.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "generator.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

// Sets rp_filter, accept_local, route_localnet, forwarding and their like, and the devices' MTUs;
// by every other seed to what a kernel begins with. `host` gets what the kernel then shows.
// REQUIRES: as learn_machine(), which has been called.
Result<void> choose_stack(ruleset::Host& host, std::uint64_t seed);

// A device without IPv6, for good. REQUIRES: before learn_machine().
Result<void> take_ipv6_away(const std::string& device);

// Whether the cable carries the packet to the device: a veth drops what its far end cannot take
// (is_skb_forwardable() of include/linux/netdevice.h).
bool is_carried(const ruleset::Host& host, const Question& question);

}  // namespace rolewall::kernel_judge
