// site.toml: hosts and interfaces. (Networks are in network.h, defaults in defaults.h.)
#pragma once

#include "policy/loader.h"

namespace rolewall::policy {

// [interfaces]: names and devices; `behind` waits for the networks.
void read_interfaces(Loader& loader, const Value& table, Keys top);

// [hosts]: names, roles, tags and addresses; declares hosts and tags. REQUIRES: the roles are in
// Policy::files.
void read_hosts(Loader& loader, const Value& table, Keys top);

// What waited for the networks: `behind`, and each host's own interfaces.
void finish_interfaces(Loader& loader);

}  // namespace rolewall::policy
