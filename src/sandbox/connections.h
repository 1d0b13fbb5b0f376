// Connection tracking of the current network namespace: its table, emptied, and its settings.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::sandbox {

// Every flow is forgotten, as by `conntrack -F`.
Result<void> forget_connections();

// net.netfilter.nf_conntrack_*. ConntrackSettings::max, which is the machine's, is left as it is.
Result<void> set_conntrack(const ruleset::ConntrackSettings& settings);

}  // namespace rolewall::sandbox
