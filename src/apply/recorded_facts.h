// What the guard must know, for verbs that read no policy: who manages this host stands in the
// record of the last apply.
#pragma once

#include <string>

#include "apply/guard_facts.h"
#include "base/error.h"

namespace rolewall::apply {

Result<GuardFacts> recorded_facts(const std::string& state_directory);

}  // namespace rolewall::apply
