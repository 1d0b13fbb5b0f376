// How many packets the rules that remember (limits, connection counts, quotas, sets filled from the
// packet path) have been shown since the ruleset was loaded, at most. While that is within the
// smallest burst, each packet meets them as the first one would; then it is time for a fresh load.
//
// A rule that breaks is not traced, so what is counted is the packets that went past the rule:
// never too few.
#pragma once

#include <cstdint>
#include <vector>

#include "ruleset/ruleset.h"
#include "sandbox/observation.h"

namespace rolewall::sandbox {

// How many packets can run through `rule` before one of its expressions can answer otherwise than
// to the first; 0: any number.
std::uint32_t patience(const ruleset::Table& table, const ruleset::Rule& rule);

class Exposure {
 public:
  Exposure() = default;
  explicit Exposure(const ruleset::Ruleset& ruleset);

  void add(const Observation& observation);
  // One more packet could meet a state that earlier ones left.
  bool exhausted() const { return exhausted_; }
  // One of them has been met at all.
  bool begun() const;
  // Packets that were not observed have met the rules.
  void exhaust();
  void reset();

 private:
  struct Budget {
    std::uint32_t rule = 0;
    std::uint32_t burst = 0;
    std::uint32_t spent = 0;
  };

  // The packet ran past rules [from, to) of a chain.
  void spend(std::uint32_t table, std::uint32_t chain, std::uint32_t from, std::uint32_t to);

  std::vector<std::vector<std::vector<Budget>>> budgets_;  // by table and chain, ordered by rule
  std::vector<std::uint32_t> untold_;  // tables of devices: no trace tells whom a packet met there
  bool exhausted_ = false;
};

}  // namespace rolewall::sandbox
