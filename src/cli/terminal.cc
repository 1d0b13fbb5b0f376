#include "cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "cli/printed_commands.h"

namespace rolewall::cli {
namespace {

std::string_view escape(Tone tone) {
  switch (tone) {
    case Tone::Good:
      return "\x1b[32m";
    case Tone::Bad:
      return "\x1b[1;31m";
    case Tone::Warning:
      return "\x1b[33m";
    case Tone::Strong:
      return "\x1b[1m";
    case Tone::Quiet:
      return "\x1b[2m";
  }
  return {};
}

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* term = std::getenv("TERM");
  return term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

Terminal::Terminal(std::FILE* stream)
    : stream_(stream),
      interactive_(::isatty(::fileno(stream)) == 1),
      colour_(interactive_ && wants_colour()) {}

std::string Terminal::paint(Tone tone, std::string_view text) const {
  return colour_ ? fmt::format("{}{}\x1b[0m", escape(tone), text) : std::string(text);
}

void Terminal::write(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), stream_);
}

void Terminal::line(std::string_view text) const {
  constexpr std::size_t kColumns = 80;
  const std::string whole = with_given_options(text);
  write(whole);
  write("\n");
  rows_ += 1 + whole.size() / kColumns;
}

const Terminal& out() {
  static const Terminal terminal(stdout);
  return terminal;
}

const Terminal& err() {
  static const Terminal terminal(stderr);
  return terminal;
}

std::string printable(std::string_view text) {
  std::string safe(text);
  for (char& c : safe) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) c = '?';
  }
  return safe;
}

std::string grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

}  // namespace rolewall::cli
