// The words of a line below /proc/net, as every list there has them: between blanks.
#pragma once

#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rolewall::observe {

inline std::vector<std::string> words_in(std::string_view line) {
  std::istringstream text{std::string(line)};
  std::vector<std::string> words;
  for (std::string word; text >> word;) words.push_back(std::move(word));
  return words;
}

}  // namespace rolewall::observe
