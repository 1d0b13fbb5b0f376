// The ruleset of last resort.
#pragma once

#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "ruleset/snapshot.h"

namespace rolewall::compile {

// Established connections, the loopback, ICMP, and ssh from `management` (from anywhere where it is
// empty: whoever repairs the machine must get in); everything out. Compiled from a policy that the
// program carries.
Result<ruleset::Snapshot> last_resort(const std::vector<net::Prefix>& management);

}  // namespace rolewall::compile
