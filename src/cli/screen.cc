#include "cli/screen.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/printed_commands.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kWord = 10;    // columns of the word in front
constexpr std::size_t kLeast = 12;   // of the screen's lines, whatever stands above them
constexpr std::size_t kTallest = 3;  // of the screen's lines that one of ours may take

// Where the text's first `columns` end; colour takes no column.
std::size_t end_of(std::string_view text, std::size_t columns) {
  std::size_t at = 0;
  for (std::size_t seen = 0; at < text.size() && seen < columns; ++at) {
    if (text[at] == '\x1b') {
      at = std::min(text.find('m', at), text.size() - 1);
    } else if ((static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U) {
      ++seen;  // not within a character
    }
  }
  return at;
}

std::size_t height_of(std::string_view text) {
  std::size_t height = 1;
  for (std::size_t at = end_of(text, Screen::kColumns); at < text.size(); ++height) {
    at += end_of(text.substr(at), Screen::kColumns);
  }
  return height;
}

std::string shortened(const std::string& text) {
  constexpr std::string_view kMore = "...";
  if (height_of(text) <= kTallest) return text;
  return text.substr(0, end_of(text, kTallest * Screen::kColumns - kMore.size())) +
         std::string(kMore);
}

}  // namespace

void Screen::line(std::string_view text) {
  lines_.push_back(with_given_options(text));
}

void Screen::line(std::string_view word, std::string_view text) {
  line(fmt::format("{:<{}}{}", word, kWord, text));
}

void Screen::urgent(std::string_view word, std::string_view text) {
  const std::string space(word.size() < kWord ? kWord - word.size() : 2, ' ');
  line(fmt::format("{}{}{}", terminal_.paint(Tone::Warning, word), space, text));
}

void Screen::show(bool all, std::string_view how) const {
  std::size_t used = 0;
  for (const std::string& line : lines_) used += std::min(height_of(line), kTallest);
  // Warnings stand above it.
  const std::size_t lines = std::max(kLeast, kLines - std::min(err().rows(), kLines));
  const std::size_t room = all || used <= lines ? SIZE_MAX : lines - 1;
  used = 0;
  std::size_t shown = 0;
  for (; shown < lines_.size(); ++shown) {
    const std::string text = all ? lines_[shown] : shortened(lines_[shown]);
    if (!all) used += height_of(text);
    if (used > room) break;
    terminal_.line(text);
  }
  if (shown == lines_.size()) return;
  terminal_.line(fmt::format("({} more: {})", counted(lines_.size() - shown, "line"), how));
}

}  // namespace rolewall::cli
