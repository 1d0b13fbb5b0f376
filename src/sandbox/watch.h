// The table that makes the kernel tell: before every other base chain it lets nothing pass but what
// carries our mark, turns the trace on and takes the mark off, so that the ruleset under trial
// never sees it; after every other it says that the packet came through, and ends its way, so that
// nothing is delivered, answered or remembered (a connection is only entered in the table after the
// last hook).
//
// The mark's first byte tells ours; then a bit for a fence, which is told of and dropped at once,
// and shows that all frames before it are done; then the packet's number.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ruleset/ruleset.h"

namespace rolewall::sandbox::watch {

inline constexpr std::string_view kTable = "rolewall-watch";

inline constexpr std::uint32_t kOurs = 0x5a000000;
inline constexpr std::uint32_t kOursMask = 0xfe000000;
inline constexpr std::uint32_t kFence = 0x01000000;
inline constexpr std::uint32_t kNumberMask = 0x00ffffff;

// To be loaded before the ruleset under trial.
ruleset::Table table();

// Which of the table's chains a name is.
enum class End : std::uint8_t { First, Last };
struct Gate {
  ruleset::Hook hook = ruleset::Hook::Prerouting;
  End end = End::First;
  bool operator==(const Gate&) const = default;
};
std::optional<Gate> gate(std::string_view chain);

}  // namespace rolewall::sandbox::watch
