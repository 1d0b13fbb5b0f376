// What the guard must know of this machine: gathered from the kernel and from who is logged in.
#pragma once

#include "apply/guard_facts.h"
#include "base/error.h"

namespace rolewall::apply {

// All but who manages it.
Result<GuardFacts> machine_facts();

}  // namespace rolewall::apply
