// What the guard must know of the machine and of who administers it.
#pragma once

#include "apply/guard.h"
#include "base/error.h"
#include "policy/policy.h"

namespace rolewall::cli {

Result<apply::GuardFacts> guard_facts(const policy::Policy& policy);

}  // namespace rolewall::cli
