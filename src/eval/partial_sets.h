// Sets of a ruleset that are too large to be read whole. Of such a set the ruleset holds what some
// keys were found to be; a packet that asks for another key is answered as if that were not there,
// and the key is noted. Whoever reads what was asked for and asks again, until nothing new is asked
// for, has the same answers as with every set read whole.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "ruleset/ruleset.h"

namespace rolewall::eval {

struct PartialSet {
  std::optional<std::uint32_t> count;  // of all its elements, where the kernel tells
  std::set<ruleset::Bytes> read;   // keys that were looked up: the set's elements say what is there
  std::set<ruleset::Bytes> asked;  // by packets, and not among `read`
};

// By their place in the ruleset, which must not move.
using PartialSets = std::map<const ruleset::Set*, PartialSet>;

}  // namespace rolewall::eval
