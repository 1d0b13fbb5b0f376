// "eth*" in a set: an interval of names, from "eth" filled with zeros to "eth" filled with ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace rolewall::ruleset {

// What all names of the interval begin with, if it holds all that begin so.
inline std::optional<std::span<const std::uint8_t>> name_prefix(
    std::span<const std::uint8_t> first, std::span<const std::uint8_t> last) {
  std::size_t size = 0;
  while (size < first.size() && first[size] == last[size] && first[size] != 0) ++size;
  if (size == 0 || size == first.size()) return std::nullopt;
  for (std::size_t i = size; i < first.size(); ++i) {
    if (first[i] != 0 || last[i] != 0xff) return std::nullopt;
  }
  return first.first(size);
}

}  // namespace rolewall::ruleset
