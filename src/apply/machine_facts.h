// What the guard must know of this machine: gathered from the kernel and from who is logged in.
#pragma once

#include "apply/guard_facts.h"
#include "base/error.h"

namespace rolewall::apply {

// All but who manages it.
Result<GuardFacts> machine_facts();

// Once that is known: of many connections that a relay has those of managers are asked about, where
// there are any.
void narrow_relays(GuardFacts& facts);

}  // namespace rolewall::apply
