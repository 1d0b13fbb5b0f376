#include "net/interval_set.h"

#include <doctest/doctest.h>

#include <bitset>
#include <ostream>

#include "net/address_set.h"

namespace rolewall::net {
namespace {

// Eight-bit values, so that every set can be compared with a plain bitmap of 256.
struct Small {
  using Number = std::uint8_t;
  Number value = 0;
  auto operator<=>(const Small&) const = default;
};
using Bitmap = std::bitset<256>;

Bitmap bitmap(const IntervalSet<Small>& set) {
  Bitmap bits;
  for (unsigned i = 0; i < 256; ++i) bits[i] = set.contains(Small{static_cast<std::uint8_t>(i)});
  return bits;
}

bool canonical(const IntervalSet<Small>& set) {
  const auto& intervals = set.intervals();
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    if (intervals[i].first.value > intervals[i].last.value) return false;
    if (i > 0 && intervals[i].first.value <= intervals[i - 1].last.value + 1) return false;
  }
  return true;
}

TEST_CASE("the algebra agrees with bitmaps") {
  std::uint32_t seed = 1;
  const auto next = [&seed] {
    seed = seed * 1664525 + 1013904223;
    return static_cast<std::uint8_t>(seed >> 24);
  };
  const auto random_set = [&] {
    std::vector<Interval<Small>> intervals;
    Bitmap bits;
    for (int n = next() % 5; n > 0; --n) {
      const std::uint8_t a = next();
      const auto b = static_cast<std::uint8_t>(next() % 4 == 0 ? 255 : std::max<int>(a, next()));
      intervals.push_back({Small{a}, Small{b}});
      for (unsigned i = a; i <= b; ++i) bits[i] = true;
    }
    const auto set = IntervalSet<Small>::from(intervals);
    CHECK(canonical(set));
    CHECK(bitmap(set) == bits);
    return set;
  };
  for (int round = 0; round < 2000; ++round) {
    const auto a = random_set();
    const auto b = random_set();
    for (const auto& set : {a | b, a & b, a - b, ~a}) REQUIRE(canonical(set));
    REQUIRE(bitmap(a | b) == (bitmap(a) | bitmap(b)));
    REQUIRE(bitmap(a & b) == (bitmap(a) & bitmap(b)));
    REQUIRE(bitmap(a - b) == (bitmap(a) & ~bitmap(b)));
    REQUIRE(bitmap(~a) == ~bitmap(a));
  }
}

TEST_CASE("copies share their intervals, and none means the empty set") {
  const auto set = IntervalSet<Small>::from({{Small{3}, Small{9}}, {Small{1}, Small{2}}});
  const auto copy = set;
  CHECK(&copy.intervals() == &set.intervals());
  CHECK(copy == IntervalSet<Small>::from({{Small{1}, Small{9}}}));
  const IntervalSet<Small> none;
  CHECK(none.empty());
  CHECK(none == IntervalSet<Small>::from({}));
  CHECK(none == (set & ~set));
  CHECK(none != set);
  CHECK((none | set) == set);
  CHECK((set | none) == set);
}

TEST_CASE("prefixes cover an interval exactly") {
  const auto set = AddressSet::from({*parse_prefix("10.0.0.0/8")});
  const auto hole = AddressSet::from({*parse_prefix("10.1.2.3")});
  const auto rest = to_prefixes((set - hole).ipv4);
  CHECK_EQ(rest.size(), 24);
  CHECK(AddressSet::from(rest) == set - hole);
  CHECK_EQ(format(to_prefixes(AddressSet::all().ipv4)[0]), "0.0.0.0/0");
  CHECK_EQ(format(to_prefixes(AddressSet::all().ipv6)[0]), "::/0");
  CHECK_EQ(to_prefixes(AddressSet{}.ipv4).size(), 0);
}

}  // namespace
}  // namespace rolewall::net
