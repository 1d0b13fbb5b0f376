// What becomes of a packet, in one form for what a policy says and for what a ruleset does: so that
// both are compared. It says who decides, too: a policy line's counter and log are as much of its
// meaning as its verdict.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/diagram.h"
#include "analyze/machine.h"

namespace rolewall::analyze {

struct Meaning {
  Fate fate = Fate::Accept;
  std::string by;           // a rule's full name, or a built-in step's
  std::string told;         // Reject: what the sender is told
  std::string source;       // Accept, here and below: its new one; "": as it was
  std::string destination;  // likewise
  std::string port;         // of the destination, likewise
  std::string written;      // what else of it is another
  auto operator<=>(const Meaning&) const = default;
};

namespace told {
inline constexpr std::string_view kReset = "tcp reset";
inline constexpr std::string_view kProhibited = "admin-prohibited";
}  // namespace told

// An address that the kernel draws or looks up: which one, neither side says.
inline constexpr std::string_view kDrawn = "one that the kernel takes";

// Each by its terminal.
class Meanings {
 public:
  // Below are those of sets, and one that a function of several steps takes for "the next".
  static constexpr std::uint32_t kFirst = 3;

  Diagram terminal_of(const Meaning& meaning) {
    const auto [at, is_new] =
        numbers_.emplace(meaning, kFirst + static_cast<std::uint32_t>(all_.size()));
    if (is_new) all_.push_back(meaning);
    return terminal(at->second);
  }
  const Meaning& of(std::uint32_t terminal_value) const { return all_[terminal_value - kFirst]; }

 private:
  std::map<Meaning, std::uint32_t> numbers_;
  std::vector<Meaning> all_;
};

}  // namespace rolewall::analyze
