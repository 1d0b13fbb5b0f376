#include "eval/taken_ports.h"

#include <algorithm>
#include <bit>

namespace rolewall::eval {

void TakenPorts::add(std::uint32_t port) {
  if (has(port)) return;
  words_[port / kBits] |= std::uint64_t{1} << port % kBits;
  ++count_;
}

void TakenPorts::remove(std::uint32_t port) {
  if (!has(port)) return;
  words_[port / kBits] &= ~(std::uint64_t{1} << port % kBits);
  --count_;
}

std::uint32_t TakenPorts::first_other(std::uint32_t from, std::uint32_t end) const {
  while (from < end) {
    const std::uint64_t others = ~words_[from / kBits] >> from % kBits;
    if (others != 0)
      return std::min(end, from + static_cast<std::uint32_t>(std::countr_zero(others)));
    from = (from / kBits + 1) * kBits;
  }
  return end;
}

}  // namespace rolewall::eval
