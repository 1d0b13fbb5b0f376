// Comparisons of registers' bits against the same registers with numbers in them: every value of
// small fields, every arrangement that a random mask, shift or concatenation gives.
#include "analyze/bits.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <vector>

#include "kernel/random.h"

namespace rolewall::analyze {
namespace {

using kernel_judge::Random;

struct Fields {
  Diagrams diagrams;
  FieldId a = diagrams.add_field(4);
  FieldId b = diagrams.add_field(3);
};

// Two bytes of which each bit is known, or one of a field's, turned or not.
Bits random_bits(Random& random, const Fields& fields) {
  Bits bits;
  if (random.percent(40)) {  // in order, as a load has them
    for (unsigned i = 4; i-- > 0;) bits.push_back(Bit::of(fields.a, i));
    for (unsigned i = 0; i < 5; ++i) bits.push_back(Bit::known(random.percent(20)));
    for (unsigned i = 3; i-- > 0;) bits.push_back(Bit::of(fields.b, i));
    while (bits.size() < 16) bits.emplace_back();
    return bits;
  }
  for (int i = 0; i < 16; ++i) {
    Bit bit = Bit::known(random.percent(50));
    if (random.percent(30)) bit = Bit::of(fields.a, random.below(4));
    if (random.percent(30)) bit = Bit::of(fields.b, random.below(3));
    bits.push_back(random.percent(20) ? bit.turned() : bit);
  }
  return bits;
}

std::array<std::uint8_t, 2> bytes_at(const Bits& bits, const Fields& fields, std::uint64_t a,
                                     std::uint64_t b) {
  std::array<std::uint8_t, 2> bytes{};
  for (std::size_t i = 0; i < bits.size(); ++i) {
    bool set = bits[i].is_known() && bits[i].value();
    if (!bits[i].is_known()) {
      const std::uint64_t value = bits[i].field() == fields.a ? a : b;
      set = (value >> bits[i].index() & 1) != (bits[i].is_turned() ? 1 : 0);
    }
    if (set) bytes[i / 8] |= static_cast<std::uint8_t>(0x80 >> i % 8);
  }
  return bytes;
}

TEST_CASE("bits compare as the bytes do that they stand for") {
  Fields fields;
  Comparison compare(fields.diagrams);
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    const Bits bits = random_bits(random, fields);
    const auto seen = bytes_at(bits, fields, random.below(16), random.below(8));
    std::array<std::uint8_t, 2> value = seen;
    if (random.percent(40)) value = {random.byte(), random.byte()};
    std::array<std::uint8_t, 2> last{random.byte(), random.byte()};
    const auto equal = compare.equal(bits, value);
    const auto at_most = compare.at_most(bits, value);
    const auto at_least = compare.at_least(bits, value);
    const auto between = compare.between(bits, value, last);
    REQUIRE((equal && at_most && at_least && between));
    for (std::uint64_t a = 0; a < 16; ++a) {
      for (std::uint64_t b = 0; b < 8; ++b) {
        const auto is = [&](Diagram set) {
          return fields.diagrams.at(set,
                                    [&](FieldId field) { return field == fields.a ? a : b; }) == 1;
        };
        const auto bytes = bytes_at(bits, fields, a, b);
        const int order = std::memcmp(bytes.data(), value.data(), 2);
        CHECK(is(*equal) == (order == 0));
        CHECK(is(*at_most) == (order <= 0));
        CHECK(is(*at_least) == (order >= 0));
        CHECK(is(*between) == (order >= 0 && std::memcmp(bytes.data(), last.data(), 2) <= 0));
      }
    }
  }
}

TEST_CASE("a mask that leaves too many intervals has no answer") {
  Diagrams diagrams;
  const FieldId wide = diagrams.add_field(64);
  Comparison compare(diagrams);
  Bits low = bits_of(wide, 64);
  for (std::size_t i = 0; i < 40; ++i) low[i] = Bit();
  const std::array<std::uint8_t, 8> value{0, 0, 0, 0, 0, 0, 0, 1};
  CHECK(!compare.equal(low, value).has_value());
  CHECK(!compare.at_most(low, value).has_value());
  // As a prefix's does.
  Bits high = bits_of(wide, 64);
  for (std::size_t i = 40; i < 64; ++i) high[i] = Bit();
  const std::array<std::uint8_t, 8> prefix{1, 2, 3, 4, 5, 0, 0, 0};
  REQUIRE(compare.equal(high, prefix).has_value());
  CHECK(*compare.equal(high, prefix) ==
        diagrams.where(wide, 0x0102030405000000, 0x0102030405ffffff));
}

}  // namespace
}  // namespace rolewall::analyze
