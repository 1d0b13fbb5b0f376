// Connection tracking's settings in the current network namespace.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::sandbox {

// net.netfilter.nf_conntrack_*. ConntrackSettings::max, which is the machine's, is left as it is.
Result<void> set_conntrack(const ruleset::ConntrackSettings& settings);

}  // namespace rolewall::sandbox
