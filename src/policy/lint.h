// Lint: what the parser and the resolver can tell of a policy that is right, and perhaps not what
// was meant. Warnings and notes alone, each with its code (codes.h).
#pragma once

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

// REQUIRES: `policy` was loaded without errors. `date` as for effective_policy(): rules that have
// expired are not looked at.
void lint(const Policy& policy, Date date, Diagnostics& diagnostics);

// Its parts: of rules (lint_rules.cc), of those that no packet comes to (lint_unmet.cc), of hosts,
// roles and networks (lint_site.cc), the site's weak points (lint_exposure.cc: what can be reached,
// lint_availability.cc: what fails or falls together), and what is left over or switched off
// (lint_hygiene.cc).
void lint_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_unmet_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_site(const Policy& policy, Diagnostics& diagnostics);
void lint_weak_points(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_hygiene(const Policy& policy, Date date, Diagnostics& diagnostics);

// Whether addresses are the internet at large: a whole /8 of it, or /16 of IPv6. No single
// organisation has so many.
bool holds_much_of_internet(const Policy& policy, const net::AddressSet& addresses);

}  // namespace rolewall::policy
