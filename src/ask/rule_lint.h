// Lint that is exact: of all packets, which rules do nothing, and which admit one half of a flow
// alone. Hosts that are alike are asked once.
#pragma once

#include "ask/site.h"
#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::ask {

// policy::lint(), its weak points by what rules decide, and lint_exactly(). REQUIRES: as there.
void lint(const policy::Policy& policy, policy::Date date, Site& site, Diagnostics& findings);

// After policy::lint(), whose findings it does not repeat. What takes too long is a note, by name.
// REQUIRES: the policy was loaded without errors.
void lint_exactly(const policy::Policy& policy, policy::Date date, Site& site,
                  Diagnostics& findings);

}  // namespace rolewall::ask
