// What a register, a header or a mark holds, for all packets at once: each of its bits is known, or
// is one bit of one field of the packet as it came, or that bit turned round. Masks, shifts, swaps
// and copies move bits and stay exact; so does what rules write, and a translation to a fixed
// address: the packet after it is a list of such bits over the packet before it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analyze/diagram.h"

namespace rolewall::analyze {

class Bit {
 public:
  constexpr Bit() = default;  // 0
  static constexpr Bit known(bool is_set) { return Bit(is_set ? 1 : 0); }
  // `index` counts from the lowest.
  static constexpr Bit of(FieldId field, unsigned index) {
    return Bit(kFirst + (field << 7 | index << 1));
  }

  constexpr bool is_known() const { return code_ < kFirst; }
  constexpr bool value() const { return code_ == 1; }  // REQUIRES: is_known()
  constexpr FieldId field() const { return (code_ - kFirst) >> 7; }
  constexpr unsigned index() const { return (code_ - kFirst) >> 1 & 63; }
  constexpr bool is_turned() const { return ((code_ - kFirst) & 1) != 0; }

  constexpr Bit turned() const {
    return is_known() ? known(!value()) : Bit(((code_ - kFirst) ^ 1) + kFirst);
  }
  constexpr std::uint32_t code() const { return code_; }
  constexpr bool operator==(const Bit&) const = default;

 private:
  static constexpr std::uint32_t kFirst = 2;
  explicit constexpr Bit(std::uint32_t code) : code_(code) {}
  std::uint32_t code_ = 0;
};

// As bytes stand in memory: the first byte's highest bit first.
using Bits = std::vector<Bit>;
using BitSpan = std::span<const Bit>;

Bits bits_of(std::span<const std::uint8_t> bytes);
inline std::vector<std::uint32_t> codes_of(BitSpan bits) {
  std::vector<std::uint32_t> codes;
  codes.reserve(bits.size());
  for (const Bit bit : bits) codes.push_back(bit.code());
  return codes;
}
// All bits of a field, the highest first.
Bits bits_of(FieldId field, unsigned count);

// Where the bits compare with a value as memcmp() orders them. Where a mask leaves a field so
// many separate intervals that they are too many to list, there is no answer.
class Comparison {
 public:
  // Of one field, or of bits within it: more intervals than this are too many.
  static constexpr std::size_t kMostIntervals = 1 << 14;

  explicit Comparison(Diagrams& diagrams) : diagrams_(diagrams) {}

  std::optional<Diagram> equal(BitSpan bits, std::span<const std::uint8_t> value);
  std::optional<Diagram> at_most(BitSpan bits, std::span<const std::uint8_t> value);
  std::optional<Diagram> at_least(BitSpan bits, std::span<const std::uint8_t> value);
  std::optional<Diagram> between(BitSpan bits, std::span<const std::uint8_t> first,
                                 std::span<const std::uint8_t> last);

 private:
  // Bits of one field, one after the other down to `low`, all turned or none.
  struct Run {
    std::size_t count = 0;
    bool known = false;
    std::uint64_t value = 0;  // of known bits
    FieldId field = 0;
    unsigned low = 0;
    bool turned = false;
  };
  static Run run_at(BitSpan bits);
  std::optional<Diagram> within(const Run& run, std::uint64_t first, std::uint64_t last);
  // Bits below, or above, the value; or equal to it.
  std::optional<Diagram> ordered(BitSpan bits, std::span<const std::uint8_t> value, bool below);

  Diagrams& diagrams_;
};

}  // namespace rolewall::analyze
