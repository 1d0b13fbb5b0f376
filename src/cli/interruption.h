// Ctrl-C while something long runs: it ends where it is, and says how far it came. A second one
// ends the program.
#pragma once

namespace rolewall::cli {

// While one is there, the first SIGINT or SIGTERM is remembered and not obeyed. One at a time.
class Interruption {
 public:
  Interruption();
  ~Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;

  static bool requested();
};

}  // namespace rolewall::cli
