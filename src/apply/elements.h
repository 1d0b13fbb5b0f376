// Sets and their elements, compared.
#pragma once

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// True where the elements of `set` come from packets, bans and openings and not from a policy.
// `wanted` is the set as compiled.
bool filled_at_run_time(const ruleset::Set& wanted);

// All but the elements and the handle.
bool same_declaration(const ruleset::Set& a, const ruleset::Set& b);

// `elements` of `set` in the one form in which equal ones are equal, whether compiled or read back:
// sorted, and without what the kernel adds on its own.
ruleset::Elements normalised(const ruleset::Set& set, ruleset::Elements elements);

// Nothing but keys, or ranges of them, as most sets and all large ones.
bool is_keys_alone(const ruleset::Elements& elements);

// From so many elements on, where they are keys alone and a policy's, a set is large: it is
// recorded apart, filled beforehand where one message cannot hold it, and not read where it need
// not be.
inline constexpr std::size_t kLargeSet = 4096;
bool is_large(const ruleset::Set& set);

// `count` rows from `first` on. REQUIRES: is_keys_alone(), as all that follow.
ruleset::Elements rows_of(const ruleset::Elements& from, std::size_t first, std::size_t count);

// What two sets of the same rows hold that the other may not: without the rows that are equal one
// by one from their beginnings and from their ends on. Of a long list this is what was changed.
struct Unlike {
  ruleset::Elements a;
  ruleset::Elements b;
};
Unlike without_equal_ends(const ruleset::Elements& a, const ruleset::Elements& b);

// How many rows from `i` and `j` on are equal one by one. REQUIRES: rows of the same columns.
std::size_t equal_rows(const ruleset::Elements& a, std::size_t i, const ruleset::Elements& b,
                       std::size_t j);

// Of normalised elements; rows of equal keys.
bool same_row(const ruleset::Elements& a, std::size_t i, const ruleset::Elements& b, std::size_t j);
bool same_catch_all(const ruleset::Elements& a, const ruleset::Elements& b);
// REQUIRES: keys of one size. As strcmp().
int compare_keys(const ruleset::Elements& a, std::size_t i, const ruleset::Elements& b,
                 std::size_t j);

}  // namespace rolewall::apply
