// Whether the kernel's table is what a policy wants, and if not, how it differs. What packets and
// the kernel itself add to a table (counters, elements of a dynamic set, remaining time) is no
// difference.
#pragma once

#include <string>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// True where the elements of `set` come from packets, bans and openings and not from a policy.
// `wanted` is the set as compiled.
bool filled_at_run_time(const ruleset::Set& wanted);

// Both as in ruleset::configuration(), and with what the kernel adds on its own taken away: the
// elements that came at run time, the copies of a set's expressions in its elements.
bool same_table(const ruleset::Table& live, const ruleset::Table& wanted);

// One line each, at most kMaxDrift of them.
inline constexpr std::size_t kMaxDrift = 100;
std::vector<std::string> drift(const ruleset::Table& live, const ruleset::Table& wanted);

// What was added to `live` at run time and has its own meaning there (a ban, an opening) goes into
// the sets of the same name and shape of `wanted`, with its remaining time.
void carry_over(const ruleset::Table& live, ruleset::Table& wanted);

}  // namespace rolewall::apply
