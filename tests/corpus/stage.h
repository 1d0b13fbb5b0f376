// A host on which somebody else's ruleset has something to say: devices with the names that its
// rules compare, addresses that they name, and networks behind the devices.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::corpus {

// At least two devices; it forwards. For sandbox::set_up_host().
ruleset::Host stage_for(const ruleset::Ruleset& ruleset);

// What rtnetlink says of the machine that set_up_host(stage) has made: the stage, with its
// devices' numbers, every address and every route.
Result<ruleset::Host> as_found(const ruleset::Host& stage);

}  // namespace rolewall::corpus
