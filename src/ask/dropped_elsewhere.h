// Which rules of a policy open nothing on a host, since another program's table drops all that they
// accept: asked of the ruleset with all tables, for all packets at once.
#pragma once

#include "base/diagnostic.h"
#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// `together`: our table as the policy has it, and the others, on the host's machine. What is not
// decided, or said otherwise by the evaluator, is a note. REQUIRES: the policy has no errors.
void lint_beside(const policy::Policy& policy, policy::Date date, policy::Index host,
                 const ruleset::Snapshot& together, Diagnostics& findings);

}  // namespace rolewall::ask
