// A screen that is drawn again in place, as top(1) does: on a terminal the alternate screen, so
// that what stood there before comes back at the end, however that comes; to a pipe or a file one
// drawing after the other.
#pragma once

#include <termios.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace rolewall::cli {

class LiveScreen {
 public:
  LiveScreen();
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  // As much as fits the window, from the line `first` on, or from the last one from which all is
  // filled; which one it was. The last line says what is above and below, with `keys`.
  std::size_t draw(std::string_view text, std::string_view keys, std::size_t first) const;

  // Until the time is over, a key is pressed (which it returns, else 0) or a signal asks to end.
  // Arrows and pages come as the letters that less(1) has for them: j, k, space, b.
  char wait(std::chrono::milliseconds time) const;

  // The lines that a page has.
  static std::size_t page();

 private:
  void restore() const;

  bool is_terminal_ = false;
  bool reads_keys_ = false;
  termios before_{};
};

// The first `columns` of a line; colour takes none.
std::string cut_to(std::string_view line, std::size_t columns);

}  // namespace rolewall::cli
