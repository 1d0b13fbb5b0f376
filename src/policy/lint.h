// Lint: what the parser and the resolver can tell of a policy that is right, and perhaps not what
// was meant. Warnings and notes alone, each with its code (codes.h).
#pragma once

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

// REQUIRES: `policy` was loaded without errors. `date` as for effective_policy(): rules that have
// expired are not looked at.
void lint(const Policy& policy, Date date, Diagnostics& diagnostics);

// Its parts: of rules (lint_rules.cc), of those that no packet comes to (lint_unmet.cc), and of
// hosts, roles and networks (lint_site.cc).
void lint_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_unmet_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_site(const Policy& policy, Diagnostics& diagnostics);

}  // namespace rolewall::policy
