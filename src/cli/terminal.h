// A stream that we write to: colour where it is a terminal (and NO_COLOR is not set), plain text
// elsewhere.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace rolewall::cli {

enum class Tone { Good, Bad, Warning, Strong, Quiet };

class Terminal {
 public:
  explicit Terminal(std::FILE* stream);

  bool interactive() const { return interactive_; }
  std::string paint(Tone tone, std::string_view text) const;
  void write(std::string_view text) const;
  // What has been written is seen: before a wait.
  void flush() const;
  // A line for people (printed_commands.h).
  void line(std::string_view text) const;
  // How many lines of a screen what line() has written takes, or one more.
  std::size_t rows() const { return rows_; }

 private:
  std::FILE* stream_;
  bool interactive_;
  bool colour_;
  mutable std::size_t rows_ = 0;
};

// The program's own two streams.
const Terminal& out();
const Terminal& err();

// Text from a file or the network as it may be shown: what a terminal would obey instead of showing
// it (control characters, marks that turn the direction of writing) and what is not UTF-8 becomes
// "\\u{9b}"; tabs stay. line() does that to whatever is written by it.
std::string printable(std::string_view text);
// The same for a line below which a caret stands: each of them becomes one '?'.
std::string in_place(std::string_view text);

// "1,204".
std::string grouped(std::uint64_t number);

// "1 error", "3 errors".
std::string counted(std::uint64_t number, std::string_view noun);

}  // namespace rolewall::cli
