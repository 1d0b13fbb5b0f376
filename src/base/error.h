// What the world refused: a file that cannot be read, a kernel that says no. Returned, never
// thrown. (What the user's policy says wrongly is a Diagnostic; what we did wrong is a failed
// CHECK.)
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "base/source.h"

namespace rolewall {

enum class ErrorKind {
  Usage,     // the command line, or a file of the wrong form: exit status 2
  Io,        // a file or directory: exit status 2
  System,    // the operating system or the kernel: exit status 3
  Conflict,  // somebody else changed what we were about to change: read again and retry
  Refused,   // we could and will not, and nothing was changed: exit status 1
};

struct Error {
  ErrorKind kind = ErrorKind::System;
  std::string message;
  int os_errno = 0;
  Span span;  // the policy line that caused it, where that is known
};

template <class T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(ErrorKind kind, std::string message,
                                                 int os_errno = 0) {
  return std::unexpected<Error>(Error{kind, std::move(message), os_errno, {}});
}

}  // namespace rolewall

// Returns the error of `expression` from the enclosing function, else goes on.
#define TRY(expression)                                      \
  do {                                                       \
    if (auto try_result = (expression); !try_result) {       \
      return std::unexpected(std::move(try_result).error()); \
    }                                                        \
  } while (false)
