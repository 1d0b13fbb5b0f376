// Sets of packets between hosts: what of a packet goes from one to the next, its headers, without
// the devices, the state and the owner that each host has for it. Sets of several hosts' analyses
// meet here.
#pragma once

#include <optional>
#include <vector>

#include "analyze/analysis.h"

namespace rolewall::analyze {

// How far a host's choices are open when its set is taken.
enum class Taken : std::uint8_t {
  May,   // for some value of each
  Must,  // while nothing was counted, whatever else is drawn or not modelled
};

class Travelling {
 public:
  explicit Travelling(Budget budget = {}) : diagrams_(budget), space_(diagrams_, true) {}

  // `fates` of an analysis within `packets`, a set of its space without choices.
  Answer<Diagram> take(Analysis& from, Direction direction, std::span<const Fate> fates,
                       Diagram packets, Taken taken);

  Diagrams& diagrams() { return diagrams_; }
  PacketSpace& space() { return space_; }

  // One packet of the set, as natural as there is one: its headers.
  std::optional<eval::Packet> packet(Diagram set, const Natural& natural);

 private:
  Diagrams diagrams_;
  PacketSpace space_;
};

// The packets of the analysis' space that have these headers.
Diagram with_headers_of(Analysis& analysis, Direction direction, const eval::Packet& packet);

// Whether the field is a host's own view of a packet.
bool is_of_host(const PacketSpace& space, FieldId field);

}  // namespace rolewall::analyze
