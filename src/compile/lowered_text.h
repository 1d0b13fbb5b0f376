// The lowered policy as text, a rule a line, for `compile --stop-after lower`.
#pragma once

#include <string>

#include "compile/lower.h"

namespace rolewall::compile {

// Long lists of addresses are cut short, and say by how much.
std::string text_of(const LoweredPolicy& policy);

}  // namespace rolewall::compile
