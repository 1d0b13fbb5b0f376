// The kernel's whole ruleset, and the machine that it runs on.
#pragma once

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::observe {

// All tables, with this machine as host. The kernel knows no policy: interfaces have no names of
// the site's, and the source map is empty.
Result<ruleset::Snapshot> live_snapshot();

}  // namespace rolewall::observe
