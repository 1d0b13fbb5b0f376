// A state directory of format 2, which rolewall wrote until 0.1: no seals, no history,
// `kernel.json`'s members in each applied.json, `rolled-back.json` in place of the last event.
// Readers take its generations as they are. The first who writes brings all of it to the format of
// now: seals what is there and can be read, and writes down as events what the numbers and links
// say.
#pragma once

#include <string>

#include "base/error.h"

namespace rolewall::apply {

// REQUIRES: the directory's lock. All but the number in `format`, which comes last: a crash in
// between does it once more.
Result<void> bring_up_to_date(const std::string& directory);

}  // namespace rolewall::apply
