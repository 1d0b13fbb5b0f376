// Chains on hooks of devices that this machine does not have: whatever they say, they meet no
// packet. Kernels from 6.16 on take them.
#pragma once

#include <vector>

#include "observe/finding.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

std::vector<Finding> absent_hooks(const ruleset::Ruleset& live, const ruleset::Host& machine);

}  // namespace rolewall::observe
