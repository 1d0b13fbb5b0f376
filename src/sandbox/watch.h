// The table that makes the kernel tell: before every other base chain it lets nothing pass but what
// carries our mark, turns the trace on and takes the mark off, so that the ruleset under trial
// never sees it; after every other it says that the packet came through, and ends its way, so that
// nothing is delivered, answered or remembered (a connection is only entered in the table after the
// last hook).
//
// The mark's first byte tells ours; then a bit for a fence, which is told of and dropped at once,
// and shows that all frames before it are done; then the packet's number.
//
// Some packets the kernel cannot trace: where the headers end behind the packet's end, kernels
// (6.18 for one) fail to copy the transport header into the message, and warn of it in their log.
// For these the table counts instead of tracing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ruleset/ruleset.h"

namespace rolewall::sandbox::watch {

inline constexpr std::string_view kTable = "rolewall-watch";

inline constexpr std::uint32_t kOurs = 0x5a000000;
inline constexpr std::uint32_t kOursMask = 0xff000000;
inline constexpr std::uint32_t kFence = 0x00800000;
inline constexpr std::uint32_t kNumberMask = 0x007fffff;

enum class Means : std::uint8_t {
  Trace,
  // As Trace, and the bytes of what came through are told to kLogGroup.
  Look,
  Counters,
  // As Look, but what came through goes on: connections are entered in the table and remembered.
  // What the host says of its own accord bears no mark, and the way out drops it before anything
  // can notice.
  Follow,
};
inline constexpr std::uint16_t kLogGroup = 90;

// To be loaded before the ruleset under trial. One can replace the other at any time.
ruleset::Table table(Means means);

// Which of the table's chains a name is.
enum class End : std::uint8_t { First, Last };
struct Gate {
  ruleset::Hook hook = ruleset::Hook::Prerouting;
  End end = End::First;
  bool operator==(const Gate&) const = default;
};
std::optional<Gate> gate(std::string_view chain);

// Of a dumped table that counts: whether a packet has come to the gate.
bool passed(const ruleset::Table& table, const Gate& gate);

}  // namespace rolewall::sandbox::watch
