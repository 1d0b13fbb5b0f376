// The machine that we run on, as a ruleset's host: for questions to its live ruleset.
#pragma once

#include "base/error.h"
#include "ruleset/host.h"

namespace rolewall::cli {

// Its name, and the addresses and devices of the network namespace that we are in, the loopback
// left out.
Result<ruleset::Host> this_host();

}  // namespace rolewall::cli
