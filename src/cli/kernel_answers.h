// The policies' tests put to a live kernel: each host's ruleset is loaded into namespaces of its
// own, and real packets are sent through it.
#pragma once

#include <vector>

#include "ask/site.h"
#include "ask/tests.h"
#include "base/error.h"
#include "cli/test_report.h"

namespace rolewall::cli {

// Of each case, of each sample. Not every sample can be put to a kernel that has just begun, in a
// namespace without a network behind it.
using KernelAnswers = std::vector<std::vector<AnswerOrWhyNot>>;

// REQUIRES: sandbox::unavailable() is "".
Result<KernelAnswers> ask_kernel(ask::Site& site, const std::vector<ask::TestCase>& cases);

}  // namespace rolewall::cli
