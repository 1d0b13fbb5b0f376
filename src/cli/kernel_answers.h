// The kernel as the one who answers the policies' tests: each host's ruleset is loaded into
// namespaces of its own, and real packets are sent through it.
#pragma once

#include <vector>

#include "ask/site.h"
#include "ask/test_report.h"
#include "ask/tests.h"
#include "base/error.h"

namespace rolewall::cli {

// An ask::Answerer: all questions are put before the first answer is told. Leaves out, with the
// reason, what cannot be put to a kernel that has just begun, in a namespace without a network
// behind it. REQUIRES: sandbox::unavailable() is "".
Result<ask::Asker> kernel(ask::Site& site, const std::vector<ask::TestCase>& cases);

}  // namespace rolewall::cli
