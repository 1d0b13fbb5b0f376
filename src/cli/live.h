// The kernel's ruleset as a snapshot: what `eval --live` asks and `dump` writes.
#pragma once

#include <string>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// All tables, with this machine as host. The names of interfaces and the policy lines are those of
// what was applied last, which `state_directory` keeps.
Result<ruleset::Snapshot> live_snapshot(const std::string& state_directory);

// For whoever's answer does not say so itself: to standard error.
void say_beside(const ruleset::Beside& beside);

}  // namespace rolewall::cli
