// Sets and their elements, compared.
#pragma once

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// True where the elements of `set` come from packets, bans and openings and not from a policy.
// `wanted` is the set as compiled.
bool filled_at_run_time(const ruleset::Set& wanted);

// All but the elements.
bool same_declaration(ruleset::Set a, ruleset::Set b);

// In the one form in which equal elements are equal, whether compiled or read back: sorted, and
// without what the kernel adds on its own.
ruleset::Set normalised(ruleset::Set set);

// Of normalised elements; rows of equal keys.
bool same_row(const ruleset::Elements& a, std::size_t i, const ruleset::Elements& b, std::size_t j);
bool same_catch_all(const ruleset::Elements& a, const ruleset::Elements& b);
// REQUIRES: keys of one size. As strcmp().
int compare_keys(const ruleset::Elements& a, std::size_t i, const ruleset::Elements& b,
                 std::size_t j);

}  // namespace rolewall::apply
