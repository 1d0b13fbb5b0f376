// CHECK: our own mistakes abort, in every build, with file and line. Never for input: a wrong
// policy is a Diagnostic, a refusal by the system an Error.
#pragma once

namespace rolewall {

[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const char* message);

}  // namespace rolewall

#define CHECK(condition, message) \
  ((condition) ? void(0) : ::rolewall::check_failed(#condition, __FILE__, __LINE__, message))
