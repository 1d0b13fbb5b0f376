#include "cli/live_screen.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/file.h"
#include "cli/interruption.h"
#include "cli/terminal.h"

namespace rolewall::cli {
namespace {

constexpr std::string_view kBegin =
    "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";  // another screen, no cursor
constexpr std::string_view kEnd = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kHome = "\x1b[H";
constexpr std::string_view kEndOfLine = "\x1b[0m\x1b[K\r\n";
constexpr std::string_view kClearBelow = "\x1b[0m\x1b[J";

struct Window {
  std::size_t columns = 80;
  std::size_t lines = 24;
};

// What a serial line says of itself is 0.
Window window() {
  winsize size{};
  Window found;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    if (size.ws_col != 0) found.columns = size.ws_col;
    if (size.ws_row != 0) found.lines = size.ws_row;
  }
  return found;
}

}  // namespace

std::string cut_to(std::string_view line, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < line.size(); ++at) {
    if (line[at] == '\x1b') {
      at = std::min(line.find('m', at), line.size() - 1);
    } else if ((static_cast<unsigned char>(line[at]) & 0xC0U) != 0x80U && seen++ == columns) {
      break;
    }
  }
  return std::string(line.substr(0, at));
}

LiveScreen::LiveScreen() : is_terminal_(out().interactive()) {
  if (!is_terminal_) return;
  if (::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    keys.c_cc[VSUSP] = _POSIX_VDISABLE;  // stopped, it would leave the terminal as it is now
    keys.c_cc[VMIN] = 0;
    keys.c_cc[VTIME] = 0;
    reads_keys_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
  }
  out().write(kBegin);
}

LiveScreen::~LiveScreen() {
  restore();
}

void LiveScreen::restore() const {
  if (!is_terminal_) return;
  out().write(kEnd);
  out().flush();
  if (reads_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

std::size_t LiveScreen::page() {
  return std::max<std::size_t>(window().lines, 2) - 1;
}

std::size_t LiveScreen::draw(std::string_view text, std::string_view keys,
                             std::size_t first) const {
  if (!is_terminal_) {
    out().write(fmt::format("{}\n", text));
    out().flush();
    return 0;
  }
  const Window size = window();
  const std::vector<std::string> lines = rolewall::lines_of(text);
  const std::size_t room = page();
  first = std::min(first, lines.size() - std::min(lines.size(), room));
  const std::size_t end = std::min(lines.size(), first + room);
  std::string screen(kHome);
  for (std::size_t i = first; i < end; ++i) {
    screen += cut_to(lines[i], size.columns);
    screen += kEndOfLine;
  }
  std::string more;
  if (first > 0) more += fmt::format("{} above", first);
  if (end < lines.size()) {
    more += fmt::format("{}{} below", more.empty() ? "" : ", ", lines.size() - end);
  }
  if (!more.empty()) more += " (j, k, space); ";
  screen += cut_to(more + std::string(keys), size.columns > 1 ? size.columns - 1 : 1);
  screen += kClearBelow;
  out().write(screen);
  out().flush();
  return first;
}

namespace {

// What of a key's sequence comes behind its escape, as it comes at once.
char letter_of_sequence() {
  std::string sequence;
  pollfd more{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  constexpr int kAtOnceMs = 20;
  for (char next = 0; sequence.size() < 4 && ::poll(&more, 1, kAtOnceMs) > 0;) {
    if (::read(STDIN_FILENO, &next, 1) != 1) break;
    sequence += next;
    if (sequence.size() > 1 && next >= '@') break;
  }
  if (sequence == "[A" || sequence == "OA") return 'k';
  if (sequence == "[B" || sequence == "OB") return 'j';
  if (sequence == "[5~") return 'b';
  return sequence == "[6~" ? ' ' : '\x1b';
}

}  // namespace

char LiveScreen::wait(std::chrono::milliseconds time) const {
  const auto end = std::chrono::steady_clock::now() + time;
  while (!Interruption::requested()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return 0;
    pollfd key{.fd = reads_keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
    if (::poll(&key, 1, static_cast<int>(left.count())) <= 0) continue;
    char pressed = 0;
    if (::read(STDIN_FILENO, &pressed, 1) == 1) {
      return pressed == '\x1b' ? letter_of_sequence() : pressed;
    }
    return 'q';  // whoever had the terminal is gone
  }
  return 0;
}

}  // namespace rolewall::cli
