// Devices that our rules name and this machine does not have: they may appear later, have another
// name by now, or be a mistake. Until then rules with `in` or `out` never match there, and `behind`
// drops all that is behind them.
#pragma once

#include <vector>

#include "observe/finding.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

std::vector<Finding> absent_devices(const ruleset::Table& own, const ruleset::Host& machine);

}  // namespace rolewall::observe
