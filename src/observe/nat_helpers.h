// On a host that translates, a helper needs a module that rewrites the addresses it reads. The
// kernel loads the helper by itself, and not that module; without it the connections that the
// helper expects never come.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "observe/finding.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

// The kernel's modules that are loaded or built in; std::nullopt where that cannot be known, as in
// a kernel without modules.
std::optional<std::set<std::string>> kernel_modules();

// `translates`: whether this table or another translates connections here.
std::vector<Finding> missing_nat_helpers(const ruleset::Table& own, bool translates,
                                         const std::optional<std::set<std::string>>& modules);

// Whether our own table translates.
bool translates(const ruleset::Table& own);

}  // namespace rolewall::observe
