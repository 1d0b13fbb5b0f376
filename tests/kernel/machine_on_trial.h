// What the kernel says of the host that a judge has made, as `dump` would save it.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

// A network on the last device, with the addresses that only a network has: broadcast, and what
// routers answer to together. The host's description gets its address.
Result<void> add_network(ruleset::Host& host);

// Fills in what is known of `host`'s own interfaces, and every route. REQUIRES: called inside
// sandbox::run(), after set_up_host(host). The far ends of its cables are not its own.
Result<void> learn_machine(ruleset::Host& host);

// Of the groups that packets are sent to, `host` gets those that the kernel has joined by itself,
// and some that programs join, not all on each device. REQUIRES: as learn_machine().
void choose_groups(ruleset::Host& host);

}  // namespace rolewall::kernel_judge
