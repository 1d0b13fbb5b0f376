// Random rulesets that are made of expressions, not of nft's text: what the kernel takes and
// nft 1.0.6 cannot write (two registers combined, ranges negated, SCTP chunks at any offset,
// several expressions in an element, registers used in ways that no compiler would). Values are
// compared by their order more often than for equality, so that both answers come up. The same seed
// gives the same ruleset.
#pragma once

#include <cstdint>

#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

ruleset::Ruleset generate_expressions(std::uint64_t seed);

}  // namespace rolewall::kernel_judge
