#include "cli/interruption.h"

#include <csignal>

namespace rolewall::cli {
namespace {

volatile std::sig_atomic_t was_requested = 0;

void note(int /*signal*/) {
  was_requested = 1;
}

// Not started again: what waits to read is to end, too. The second one finds the default.
void on_both(void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM}) ::sigaction(signal, &action, nullptr);
}

}  // namespace

Interruption::Interruption() {
  was_requested = 0;
  on_both(note);
}
Interruption::~Interruption() {
  on_both(SIG_DFL);
}

bool Interruption::requested() {
  return was_requested != 0;
}

}  // namespace rolewall::cli
