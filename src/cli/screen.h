// What somebody reads at night over a bad line: at most a screen of a verb's output, the most
// urgent first, and how to see the rest.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace rolewall::cli {

class Screen {
 public:
  // Those of a serial console; the last line is left to the prompt.
  static constexpr std::size_t kLines = 23;
  static constexpr std::size_t kColumns = 80;

  explicit Screen(const Terminal& terminal) : terminal_(terminal) {}

  // In the order in which they are needed. May hold colour.
  void line(std::string_view text);
  // The same below a word in front: "pending   generation 2 ...". `word` may be "".
  void line(std::string_view word, std::string_view text);
  void urgent(std::string_view word, std::string_view text);

  // `all`: without an end. Else what does not fit is counted, and `how` shows it.
  void show(bool all, std::string_view how) const;

 private:
  const Terminal& terminal_;
  std::vector<std::string> lines_;
};

}  // namespace rolewall::cli
