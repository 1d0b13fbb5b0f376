// A ruleset in a file: what `dump` and `compile --format json` write.
#pragma once

#include <string>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// "-" is standard input. The error has advice where the file is in another form.
Result<ruleset::Snapshot> snapshot_of_file(const std::string& path);

}  // namespace rolewall::cli
