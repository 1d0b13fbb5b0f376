#include "cli/printed_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace rolewall::cli {
namespace {

constexpr std::string_view kProgram = "rolewall ";

bool begins_command(std::string_view before) {
  return before.ends_with('`') || before.ends_with("sudo ") || before.ends_with(": ");
}

// Of a command that begins `text`. What is quoted ends none, whatever stands in it.
std::size_t end_of_command(std::string_view text) {
  const auto is_mark = [&](std::size_t at) {
    constexpr std::array<std::string_view, 9> kMarks{"`",  "\n", ")",  ";",   ",",
                                                     "  ", " (", ". ", "\x1b"};
    return std::ranges::any_of(
        kMarks, [&](std::string_view mark) { return text.substr(at).starts_with(mark); });
  };
  std::size_t end = 0;
  while (end < text.size() && !is_mark(end)) {
    const std::size_t closes =
        text[end] == '\'' ? text.find('\'', end + 1) : std::string_view::npos;
    end = closes == std::string_view::npos ? end + 1 : closes + 1;
  }
  while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '.')) --end;
  return end;
}

std::string_view verb_of(std::string_view command) {
  const std::string_view words = command.substr(kProgram.size());
  return words.substr(0, words.find(' '));
}

GivenOptions& own() {
  static GivenOptions options;
  return options;
}

}  // namespace

std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+=,-";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string GivenOptions::completed(std::string_view text) const {
  std::string all;
  std::size_t done = 0;
  for (std::size_t at = text.find(kProgram); at != std::string_view::npos;
       at = text.find(kProgram, at + 1)) {
    if (given.empty() || !begins_command(text.substr(0, at))) continue;
    const std::string_view command = text.substr(at, end_of_command(text.substr(at)));
    if (command.size() <= kProgram.size()) continue;
    const auto verb = taken.find(verb_of(command));
    if (verb == taken.end()) continue;
    all += text.substr(done, at + command.size() - done);
    done = at + command.size();
    for (const auto& [option, value] : given) {
      const bool is_there = command.find(option + " ") != std::string_view::npos;
      if (!is_there && verb->second.contains(option)) {
        all += fmt::format(" {} {}", option, quoted(value));
      }
    }
  }
  return all.append(text.substr(done));
}

void remember_given(GivenOptions options) {
  own() = std::move(options);
}

std::string with_given_options(std::string_view text) {
  return own().completed(text);
}

}  // namespace rolewall::cli
