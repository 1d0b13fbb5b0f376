// A plan for people and for programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apply/apply.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// What the policy changes, a line each, with the keys that differ; how the kernel's table is put
// right; and with Everything what both make of the kernel's table.
enum class Extent : std::uint8_t { Policy, Everything };
std::vector<std::string> lines_of(const Terminal& to, const apply::Plan& plan, Extent extent);
// "policy rules: 2 added, 1 changed, 0 removed; in the kernel 4 rules added, 2 removed, 112
// unchanged"
std::string summary(const apply::Plan& plan);
// "first", "changes", "drift", "kernel", "kernel_rules".
void add_members(Json& json, const apply::Plan& plan);

}  // namespace rolewall::cli
