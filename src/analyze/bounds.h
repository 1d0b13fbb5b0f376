// The least and the greatest value that each field has in a set of packets: enough to pass over a
// rule, or a map's element, that none of them can match, without a diagram. Inside analyze/ alone.
//
// It says "none" only where that is so; of what it does not know it says "perhaps".
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "analyze/environment.h"
#include "analyze/packet_space.h"
#include "ruleset/expr_list.h"
#include "ruleset/ruleset.h"

namespace rolewall::analyze {

class Bounds {
 public:
  // REQUIRES: the set is not empty. Of the fields that there are by now.
  Bounds(Diagrams& diagrams, const PacketSpace& space, Diagram packets);

  // Whether every packet, in this environment, breaks the rule before it has an effect.
  bool refuse(const ruleset::ExprList& exprs, const Environment& environment) const;

  // The bounds of each component of a key; nothing of one that is not a whole field.
  std::vector<std::optional<Values>> of_key(const ruleset::Set& set, BitSpan key) const;
  // Whether none of them can have a key between these.
  static bool refuse(const ruleset::Set& set, std::span<const std::optional<Values>> key,
                     std::span<const std::uint8_t> first, std::span<const std::uint8_t> last);

 private:
  std::optional<Values> of_bits(BitSpan bits) const;

  const PacketSpace& space_;
  std::vector<Values> fields_;  // by number
};

}  // namespace rolewall::analyze
