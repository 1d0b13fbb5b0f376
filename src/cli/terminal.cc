#include "cli/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <utility>

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

// One character at the front of `text`, and how long it is; of what is not UTF-8 one byte.
struct Character {
  char32_t point = 0;
  std::size_t length = 1;
  bool valid = false;
};

Character first_of(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  Character found{lead, 1, false};
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return found;
  char32_t point = lead & (0x7fU >> length);
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return found;
    point = point << 6 | (byte(at) & 0x3fU);
  }
  constexpr char32_t kShortest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xd800 && point <= 0xdfff;
  if (point < kShortest[length] || point > 0x10ffff || surrogate) return found;
  return {point, length, true};
}

// Whether a terminal, or whoever lays out text, obeys the character instead of showing it: control
// characters (C0, DEL, C1), line and paragraph separators, marks that turn the direction of writing
// (Unicode 15, Bidi_Control). XML has no U+FFFE and U+FFFF at all.
bool is_obeyed(char32_t point) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},  {0x200e, 0x200f},
      {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfffe, 0xffff}};
  return std::ranges::any_of(
      kRanges, [&](const auto& range) { return range.first <= point && point <= range.second; });
}

// `kept`: control characters that stay.
template <class Escape>
std::string shown(std::string_view text, std::string_view kept, Escape escape) {
  const bool is_plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  if (is_plain) return std::string(text);
  std::string safe;
  while (!text.empty()) {
    const Character next = first_of(text);
    const bool stays = kept.find(text[0]) != std::string_view::npos;
    if (next.valid && (stays || !is_obeyed(next.point))) {
      safe += text.substr(0, next.length);
    } else {
      safe += escape(next.point);
    }
    text.remove_prefix(next.length);
  }
  return safe;
}

std::string by_number(char32_t point) {
  return fmt::format("\\u{{{:x}}}", static_cast<std::uint32_t>(point));
}

// All that is to be shown, with our own colours between.
std::string shown_with_colours(std::string_view text, bool colours) {
  constexpr std::string_view kColour = "\x1b[";
  std::string safe;
  while (colours) {
    const std::size_t at = text.find(kColour);
    if (at == text.npos) break;
    const std::size_t end = text.find_first_not_of("0123456789;", at + kColour.size());
    if (end == text.npos || text[end] != 'm') break;
    safe += shown(text.substr(0, at), "\t\n", by_number);
    safe += text.substr(at, end + 1 - at);
    text.remove_prefix(end + 1);
  }
  return safe + shown(text, "\t\n", by_number);
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

void Terminal::flush() const {
  std::fflush(stream_);
}

void Terminal::line(std::string_view text) const {
  constexpr std::size_t kColumns = 80;
  const std::string whole = shown_with_colours(with_given_options(text), colour_);
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
  return shown(text, "\t", by_number);
}

std::string in_place(std::string_view text) {
  return shown(text, "\t", [](char32_t) { return std::string("?"); });
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
