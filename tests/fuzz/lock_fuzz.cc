// Any text as rolewall.lock: what is wrong is said at a line of it, and what was read is written
// and read again without loss.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "policy/lock.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rolewall;  // NOLINT(google-build-using-namespace)
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Diagnostics diagnostics;
  const policy::Lock lock = policy::parse_lock(text, 0, diagnostics);
  for (const Diagnostic& each : diagnostics.all()) {
    for (const char c : each.message) {
      if (static_cast<unsigned char>(c) < ' ') std::abort();
    }
  }
  if (diagnostics.has_errors()) return 0;
  Diagnostics none;
  if (policy::parse_lock(policy::format_lock(lock), 0, none) != lock || none.has_errors()) {
    std::abort();
  }
  return 0;
}
