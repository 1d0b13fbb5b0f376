// One edit of a ruleset, as people make them: a rule is taken away, added, moved or changed, an
// element of a set comes or goes, a chain's policy turns round. The same seed gives the same edit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ruleset/ruleset.h"

namespace rolewall::symbolic {

struct Edited {
  ruleset::Ruleset ruleset;
  std::string what;  // "rule 3 of inet t0 b1 is taken away"
};

// Absent: the edit cannot be made there. What is given is sound, as ruleset::verify() has it.
std::optional<Edited> edit(const ruleset::Ruleset& ruleset, std::uint64_t seed);

// The same with a set that one rule fills and another asks.
ruleset::Ruleset with_memory(ruleset::Ruleset ruleset, std::uint64_t seed);
// An edit of what such a ruleset remembers, or of what is asked below the IP stack: the rule that
// fills the set, or where it stands, what the set holds at first, a new chain of a device.
std::optional<Edited> edit_memory(const ruleset::Ruleset& ruleset, std::uint64_t seed);

// The same with a rule that leaves something with connections (a mark, a zone, that they are not
// tracked), and mostly one that asks for it; and an edit of the first.
ruleset::Ruleset with_kept(ruleset::Ruleset ruleset, std::uint64_t seed);
std::optional<Edited> edit_kept(const ruleset::Ruleset& ruleset, std::uint64_t seed);

}  // namespace rolewall::symbolic
