// The policies' tests put to a live kernel: each host's ruleset is loaded into namespaces of its
// own, and real packets are sent through it.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "ask/site.h"
#include "ask/tests.h"
#include "base/error.h"

namespace rolewall::cli {

// Of each case, of each sample. std::nullopt where the sample cannot be put to a kernel that has
// just begun: its words give the flow a state, it speaks for another machine of a pool, or as a
// user that cannot be had without root.
using KernelAnswers = std::vector<std::vector<std::optional<ask::Answer>>>;

// REQUIRES: sandbox::unavailable() is "".
Result<KernelAnswers> ask_kernel(ask::Site& site, const std::vector<ask::TestCase>& cases);

}  // namespace rolewall::cli
