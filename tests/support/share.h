// How much of a long test is run: one in so many of its trials. meson.build sets ROLEWALL_SHARE
// where sanitizers make each dear; with ROLEWALL_LONG_TESTS none is left out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace rolewall::test {

inline std::size_t share() {
  const char* const said = std::getenv("ROLEWALL_SHARE");
  if (said == nullptr || std::getenv("ROLEWALL_LONG_TESTS") != nullptr) return 1;
  return static_cast<std::size_t>(std::max(1, std::atoi(said)));
}

}  // namespace rolewall::test
