// Rules that ask what is not a field of the packet: a masked key that is too scattered for a
// diagram, a hash, what the routes say, a checksum, a map that packets fill. Earlier rules write
// what that is found out from. Two rulesets that share such a value must share what it is found
// from, too.
#pragma once

#include <cstdint>
#include <optional>

#include "edits.h"
#include "ruleset/ruleset.h"

namespace rolewall::symbolic {

ruleset::Ruleset with_found_values(ruleset::Ruleset ruleset, std::uint64_t seed);
// Another value written, or another element of a set that is asked by a masked key.
std::optional<Edited> edit_found_values(const ruleset::Ruleset& ruleset, std::uint64_t seed);

}  // namespace rolewall::symbolic
