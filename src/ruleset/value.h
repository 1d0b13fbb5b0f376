// Values as the registers of nf_tables hold them, and verdicts: what expressions, sets and objects
// share.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace rolewall::ruleset {

using Bytes = std::vector<std::uint8_t>;

// A 32-bit data register, 0 to 15: NFT_REG32_00 + n. A load of n bytes fills ceil(n / 4) registers
// from its first on. The verdict register has no number here: what writes it says so.
using Register = std::uint8_t;
inline constexpr Register kRegisterCount = 16;

// At most 64 bytes of register data (NFT_DATA_VALUE_MAXLEN), inline. Unused bytes are zero.
struct Value {
  static constexpr std::size_t kMaxSize = 64;
  std::uint8_t size = 0;
  std::array<std::uint8_t, kMaxSize> bytes{};

  Value() = default;
  template <class Range>
  explicit Value(const Range& range) {  // REQUIRES: at most kMaxSize bytes
    for (const std::uint8_t byte : range) bytes[size++] = byte;
  }
  // A number in host order, as the kernel keeps marks, states and indexes.
  static Value host_u32(std::uint32_t number) {
    Value value;
    value.size = 4;
    std::memcpy(value.bytes.data(), &number, 4);
    return value;
  }
  static Value be16(std::uint16_t number) {
    Value value;
    value.size = 2;
    value.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    value.bytes[1] = static_cast<std::uint8_t>(number);
    return value;
  }
  static Value u8(std::uint8_t number) {
    Value value;
    value.size = 1;
    value.bytes[0] = number;
    return value;
  }
  const std::uint8_t* begin() const { return bytes.data(); }
  const std::uint8_t* end() const { return bytes.data() + size; }
  auto operator<=>(const Value&) const = default;
};

// What the verdict register can hold. Break never leaves a rule; it is here for set data.
enum class VerdictCode : std::uint8_t { Accept, Drop, Queue, Continue, Break, Jump, Goto, Return };

struct Verdict {
  VerdictCode code = VerdictCode::Continue;
  std::string chain;        // Jump and Goto alone
  std::uint32_t queue = 0;  // Queue: the upper bits of the kernel's verdict, as they are
  auto operator<=>(const Verdict&) const = default;
};

}  // namespace rolewall::ruleset
