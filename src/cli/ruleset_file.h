// A ruleset that `compile --format json` or `dump` wrote.
#pragma once

#include <string>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// `path`: "-" is standard input. What is no snapshot, but something that people take for one, gets
// advice.
Result<ruleset::Snapshot> read_ruleset(const std::string& path);

}  // namespace rolewall::cli
