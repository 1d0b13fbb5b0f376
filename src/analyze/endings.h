// What becomes of packets by two rulesets, by one numbering for both: all that they are compared
// by, and in which way two endings differ.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "analyze/kept.h"
#include "analyze/machine.h"

namespace rolewall::analyze {

struct Ending {
  Fate fate = Fate::Accept;
  std::uint32_t logged = 0;
  std::uint32_t left = 0;
  std::uint32_t headers = 0;       // of an accepted packet; of a rejected one what it is answered
  std::vector<const Bits*> parts;  // of an accepted packet, as in kShownParts
  // With its connection. A connection's first packet that is denied leaves none.
  struct Kept {
    bool is_untracked = false;
    std::uint32_t zone = 0;
    const Bits* first_mark = nullptr;  // null: none
    const Bits* first_labels = nullptr;
    const Bits* known_mark = nullptr;
    const Bits* known_labels = nullptr;
  } kept;
};

class Endings {
 public:
  // Those of sets lie below.
  static constexpr std::uint32_t kFirst = 2;

  Diagram terminal_of(const Machine& machine, const Outcome& outcome);
  const Ending& of(std::uint32_t terminal_value) const { return all_[terminal_value - kFirst]; }

 private:
  std::map<std::vector<std::uint32_t>, std::uint32_t> numbers_;
  std::vector<Ending> all_;
};

// The packets of two endings that differ, by how. Those of no field are the same all the same.
struct EndingsDiffer {
  Diagram answered = kNothing;  // rejected by another answer
  Diagram rewritten = kNothing;
  Diagram logged = kNothing;
  Diagram remembered = kNothing;
  std::set<std::string> not_asked;  // what else differs, and no rule asks for
};
// REQUIRES: of the same fate.
EndingsDiffer differ(Diagrams& d, const PacketSpace& space, const Ending& a, const Ending& b,
                     Diagram packets, const KeptAsked& asked);

}  // namespace rolewall::analyze
