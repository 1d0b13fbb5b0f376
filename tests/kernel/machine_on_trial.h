// What the kernel says of the host that a judge has made, as `dump` would save it.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

// Networks on the first and the last device, as real hosts have: several on one, one within
// another, two addresses in one, a link of two, a peer's, a link's own; with the addresses that
// only a network has (broadcast, and what routers answer to together). And addresses on the
// loopback. The host's description gets those that are its own.
Result<void> add_networks(ruleset::Host& host);

// One more device, a bridge: packets come by its one port, and behind the other is 10.9.12.7 (and
// 2001:db8:9:12::7). br_netfilter shows them to iptables, or not (choose_stack()). False: this
// kernel has no bridges. REQUIRES: before learn_machine().
constexpr const char* kBridge = "br0";
Result<bool> add_bridge(ruleset::Host& host);

// Fills in what is known of `host`'s own interfaces, and every route. REQUIRES: called inside
// sandbox::run(), after set_up_host(host). The far ends of its cables are not its own.
Result<void> learn_machine(ruleset::Host& host);

// Of the groups that packets are sent to, `host` gets those that the kernel has joined by itself,
// and some that programs join, not all on each device. REQUIRES: as learn_machine().
void choose_groups(ruleset::Host& host);

}  // namespace rolewall::kernel_judge
