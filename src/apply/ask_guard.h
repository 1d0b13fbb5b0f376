// The guard (guard.h) on the running host: the new table together with every other program's, as
// the kernel holds them.
//
// Their sets may hold millions of elements, which the kernel takes seconds and minutes to list. Of
// a large one nothing is listed: what the guard's packets look up in it is asked of the kernel by
// its key, and the guard asked again with what that has found, until it looks up nothing new.
#pragma once

#include <vector>

#include "apply/guard.h"
#include "apply/kernel.h"
#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

Result<std::vector<Loss>> ask_guard(Kernel& kernel, const ruleset::Table& wanted,
                                    const GuardFacts& facts);

}  // namespace rolewall::apply
