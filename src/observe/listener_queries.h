// Links on which a router or a switch asks who listens to which group (MLD, RFC 9777). A switch
// that hears such questions passes a group's packets on only to who has answered (RFC 4541),
// neighbour solicitations among them: their groups are the solicited-node ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ruleset/host.h"

namespace rolewall::observe {

// Devices of this network namespace that have ever heard one.
std::vector<std::string> queried_devices(const ruleset::Host& machine);

// What /proc/net/dev_snmp6/DEVICE counts: a name and a number a line.
bool has_heard_queries(std::string_view counters);

}  // namespace rolewall::observe
