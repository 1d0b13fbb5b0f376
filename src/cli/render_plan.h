// A plan for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "apply/apply.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// A line for each policy rule that is touched. `sources`: of the policy that is wanted.
std::vector<std::string> lines_of(const Terminal& to, const apply::Plan& plan,
                                  const ruleset::SourceMap& sources);
// "policy rules: 2 added, 1 changed, 0 removed; 112 rules unchanged in the kernel"
std::string summary(const apply::Plan& plan);
// "first", "changes", "kernel_rules".
void add_members(Json& json, const apply::Plan& plan, const ruleset::SourceMap& sources);

}  // namespace rolewall::cli
