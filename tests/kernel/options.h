// A judge's command line: pairs of a word and a number.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace rolewall::kernel_judge {

struct NumberOption {
  std::string_view word;
  std::uint64_t* value = nullptr;
  std::optional<std::uint64_t>* if_given = nullptr;  // in its place
};

// False where a word is none of these, or has no number behind it.
inline bool read_numbers(int count, char** words, std::initializer_list<NumberOption> options) {
  for (int i = 1; i < count; i += 2) {
    const NumberOption* found = nullptr;
    for (const NumberOption& option : options) {
      if (option.word == words[i]) found = &option;
    }
    if (found == nullptr || i + 1 == count) return false;
    const std::uint64_t number = std::strtoull(words[i + 1], nullptr, 10);
    if (found->value != nullptr) *found->value = number;
    if (found->if_given != nullptr) *found->if_given = number;
  }
  return true;
}

}  // namespace rolewall::kernel_judge
