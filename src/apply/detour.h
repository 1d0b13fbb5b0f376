// A large set in use of which more changes than one message holds: it is filled anew under another
// name, one transaction has the rules name that one, and then the same again back to its own name.
// Each packet meets the former set or the new one. A program that dies in between leaves the new
// set in force under the other name, and the next apply puts the names right.
#pragma once

#include <string>
#include <vector>

#include "apply/belief.h"
#include "apply/difference.h"
#include "apply/kernel.h"
#include "base/error.h"

namespace rolewall::apply {

// The sets of `change` that it takes for; empty where there is none.
std::vector<std::string> large_changes_in_use(const Belief& live, const Difference& change);

// REQUIRES: large_changes_in_use() gave `sets`. Committed: all of `change` is in force, under the
// sets' own names or, where the way back failed, under the others. Then `generation` is 0, which
// the kernel's never is: nothing may be believed of a table that is called otherwise than recorded.
Result<netlink::CommitResult> send_by_detour(Kernel& kernel, const Belief& live,
                                             const Difference& change,
                                             const std::vector<std::string>& sets);

}  // namespace rolewall::apply
