// What the ends of a rule come to on the hosts that it is for.
#pragma once

#include "policy/rule.h"

namespace rolewall::policy {

// A rule of which nothing is left (`management` unset, a DNS name without an answer for too long)
// is left out, and said; an end that no packet has is an error.
void check_ends(Loader& loader, const RuleSource& source, Rule& rule);

// REQUIRES: check_ends; the translation is read.
void check_matches_something(Loader& loader, const RuleSource& source, const Rule& rule);

}  // namespace rolewall::policy
