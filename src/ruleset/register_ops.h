// Expressions that work on registers alone: arithmetic, comparisons, and what looks up in a set.
#pragma once

#include <cstdint>
#include <string>

#include "ruleset/value.h"

namespace rolewall::ruleset {

// --- register arithmetic -----------------------------------------------------------------------

// destination = (source & mask) ^ xor_with, over `length` bytes.
struct BitwiseMask {
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  Value mask;
  Value xor_with;
  bool operator==(const BitwiseMask&) const = default;
};

enum class ShiftDirection : std::uint8_t { Left, Right };

struct BitwiseShift {
  ShiftDirection direction = ShiftDirection::Left;
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  std::uint32_t bits = 0;
  bool operator==(const BitwiseShift&) const = default;
};

enum class BitwiseOp : std::uint8_t { And, Or, Xor };

// destination = source OP other, over `length` bytes (kernel 6.13 on).
struct BitwiseRegisters {
  BitwiseOp op = BitwiseOp::And;
  Register source = 0;
  Register other = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  bool operator==(const BitwiseRegisters&) const = default;
};

enum class ByteorderOp : std::uint8_t { NetworkToHost, HostToNetwork };

// Swaps each whole unit of `size` (2, 4 or 8) bytes within `length` bytes; what is left over stays
// as it is (net/netfilter/nft_byteorder.c). nft writes one byte of two, which is no unit, for keys
// of one byte in a concatenation of ranges.
struct Byteorder {
  ByteorderOp op = ByteorderOp::NetworkToHost;
  Register source = 0;
  Register destination = 0;
  std::uint32_t length = 0;
  std::uint32_t size = 0;
  bool operator==(const Byteorder&) const = default;
};

// --- comparisons: break where they do not hold -------------------------------------------------

enum class CmpOp : std::uint8_t { Eq, Neq, Lt, Lte, Gt, Gte };

// memcmp over the value's size.
struct Cmp {
  CmpOp op = CmpOp::Eq;
  Register source = 0;
  Value value;
  bool operator==(const Cmp&) const = default;
};

// Inclusive at both ends, as memcmp orders; `negated` is NFT_RANGE_NEQ.
struct Range {
  bool negated = false;
  Register source = 0;
  Value from;
  Value to;
  bool operator==(const Range&) const = default;
};

enum class LookupResult : std::uint8_t {
  Membership,  // a set: breaks where the key is absent (present, if inverted)
  Data,        // a map: writes `destination`
  Verdict,     // a verdict map: a hit writes the verdict register and ends the rule
};

struct Lookup {
  std::string set;
  Register source = 0;
  LookupResult result = LookupResult::Membership;
  Register destination = 0;  // Data alone
  bool inverted = false;
  bool operator==(const Lookup&) const = default;
};

}  // namespace rolewall::ruleset
