// Rules of `ip rule` on the host on trial, and tables that they name. They differ from ruleset to
// ruleset; one is always there, since the kernel does not forget that there was any.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

// `host` gets what a dump has of them in place of its routes. REQUIRES: as learn_machine(), which
// has been called.
Result<void> choose_routing_rules(ruleset::Host& host, std::uint64_t seed);

}  // namespace rolewall::kernel_judge
