// A picture that stays readable: ends of a column with the same flows are one box, and of many
// others in a column those with the fewest flows are one, too. Where that leaves more lines than
// anybody follows, a column's roles are one box, and so are its networks; the internet never is.
// The table beside the picture has them all.
#pragma once

#include "report/flows.h"

namespace rolewall::report {

Flows folded(const Flows& all);

}  // namespace rolewall::report
