// What the program's exit status means, the same for every verb and output format.
#pragma once

#include "base/error.h"

namespace rolewall::cli {

inline constexpr int kDone = 0;    // done, or the answer is yes; warnings alone too
inline constexpr int kNo = 1;      // the answer is no, and nothing was changed
inline constexpr int kUsage = 2;   // the command line, or unreadable files
inline constexpr int kSystem = 3;  // the system or the kernel refused

inline int exit_status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Usage:
    case ErrorKind::Io:
      return kUsage;
    case ErrorKind::System:
    case ErrorKind::Conflict:
      return kSystem;
    case ErrorKind::Refused:
      return kNo;
  }
  return kSystem;
}

}  // namespace rolewall::cli
