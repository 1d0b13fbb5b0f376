// Times are counted in nanoseconds, as the kernel does.
#pragma once

#include <cstdint>

namespace rolewall {

inline constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

}  // namespace rolewall
