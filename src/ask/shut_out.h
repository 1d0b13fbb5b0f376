// What every apply would be refused for: the guard's questions (apply/guard.h) that can be asked
// without the machine. Where the answer hangs on what only the machine knows, nothing is found. And
// a limit, by which management is shut out afterwards.
#pragma once

#include "ask/site.h"
#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::ask {

void find_shut_out(const policy::Policy& policy, policy::Date date, Site& site,
                   Diagnostics& findings);

}  // namespace rolewall::ask
