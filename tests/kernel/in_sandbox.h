// What every judge's main() ends in.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>

#include "sandbox/sandbox.h"

namespace rolewall::kernel_judge {

inline constexpr int kSkipped = 77;  // Meson's exit status for a test that cannot run here

// Runs it in a network namespace of its own. The exit status: the judge's, or why there was none.
inline int in_sandbox(const std::function<int()>& judge) {
  if (const std::string why = sandbox::unavailable(); !why.empty()) {
    fmt::print("skipped: {}\n", why);
    return kSkipped;
  }
  const auto status = sandbox::run(judge);
  if (!status) fmt::print("{}\n", status.error().message);
  return status ? *status : 1;
}

}  // namespace rolewall::kernel_judge
