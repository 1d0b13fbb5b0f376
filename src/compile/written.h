// What a host's policy says, as people wrote it (ruleset/snapshot.h, Written).
#pragma once

#include <vector>

#include "policy/effective.h"
#include "ruleset/snapshot.h"

namespace rolewall::compile {

// The rules in their order, the defaults, and then each name that they use, with what it stands
// for.
std::vector<ruleset::Written> written(const policy::Policy& policy, const policy::HostPolicy& host);

}  // namespace rolewall::compile
