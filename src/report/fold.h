// A picture that stays readable: ends of a column with the same flows are one box, and of many
// others in a column those with the fewest flows are one, too. The table beside the picture has
// them all.
#pragma once

#include "report/flows.h"

namespace rolewall::report {

Flows folded(const Flows& all);

}  // namespace rolewall::report
