// When a time of the kernel's is over: it counts in ticks, and looks at its clock a little after
// the packet has come, so that near an element's or a flow's end either may be so.
#pragma once

#include <cstdint>

namespace rolewall::eval {

// On both sides of the end, beside the clock's own error.
inline std::uint64_t doubt_about_end_ns(std::uint64_t clock_error_ns) {
  constexpr std::uint64_t kTickNs = 10'000'000;  // where HZ is 100
  return kTickNs + clock_error_ns;
}

}  // namespace rolewall::eval
