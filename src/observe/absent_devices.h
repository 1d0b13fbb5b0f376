// Devices that our rules name and this machine has not: they may come later, be called otherwise by
// now, or be a mistake; until then what the rules say of them says nothing, and `behind` drops all
// that is behind them.
#pragma once

#include <vector>

#include "observe/finding.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

std::vector<Finding> absent_devices(const ruleset::Table& own, const ruleset::Host& machine);

}  // namespace rolewall::observe
