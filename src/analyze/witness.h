// From a packet to the values of its fields, and from a set of packets to one of them. Inside
// analyze/ alone; analysis.h has it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "analyze/analysis.h"

namespace rolewall::analyze {

// By field, those of packets alone. Empty: the packet is not one of the space. Where it does not
// give conntrack's state, it is the one that a connection's first packet gets.
std::vector<std::uint64_t> values_of(Diagrams& diagrams, PacketSpace& space, Direction direction,
                                     const eval::Packet& packet);

// By field, those that need no set to be known: all but conntrack's state. Empty: as above.
std::vector<std::uint64_t> headers_of(const PacketSpace& space, Direction direction,
                                      const eval::Packet& packet);

// By field, of the packet that a reader expects among those of the set. REQUIRES: it is not empty.
std::vector<std::uint64_t> natural_values(Diagrams& diagrams, PacketSpace& space,
                                          const ruleset::Host& host, Direction direction,
                                          Diagram set, const Natural& natural);

std::optional<Witness> witness_of(Diagrams& diagrams, PacketSpace& space, const ruleset::Host& host,
                                  Direction direction, Diagram set,
                                  const Natural* natural = nullptr);

}  // namespace rolewall::analyze
