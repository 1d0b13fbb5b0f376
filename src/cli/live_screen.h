// A screen that is drawn again in place, as top(1) does: on a terminal the alternate screen, so
// that what stood there before comes back at the end, however that comes; to a pipe or a file one
// drawing after the other.
#pragma once

#include <termios.h>

#include <chrono>
#include <string>
#include <string_view>

namespace rolewall::cli {

class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // What does not fit the window is cut off; the last line says so. `keys` stands there, too.
  void draw(std::string_view text, std::string_view keys) const;

  // Until the time is over, a key is pressed (which it returns, else 0) or a signal asks to end.
  char wait(std::chrono::milliseconds time) const;

 private:
  void restore() const;

  bool is_terminal_ = false;
  bool reads_keys_ = false;
  termios before_{};
};

// The first `columns` of a line; colour takes none.
std::string cut_to(std::string_view line, std::size_t columns);

}  // namespace rolewall::cli
