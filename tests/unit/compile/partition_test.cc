#include "compile/partition.h"

#include <doctest/doctest.h>

#include "net/address.h"

namespace rolewall::compile {
namespace {

struct Small {
  using Number = std::uint8_t;
  Number value = 0;
  auto operator<=>(const Small&) const = default;
};
using Sets = std::vector<net::IntervalSet<Small>>;

std::vector<const net::IntervalSet<Small>*> pointers(const Sets& sets) {
  std::vector<const net::IntervalSet<Small>*> result;
  for (const auto& set : sets) result.push_back(&set);
  return result;
}

TEST_CASE("each number lies in one part, with exactly the sets that hold it") {
  std::uint32_t seed = 3;
  const auto next = [&seed] {
    seed = seed * 1664525 + 1013904223;
    return static_cast<std::uint8_t>(seed >> 24);
  };
  for (int round = 0; round < 500; ++round) {
    Sets sets;
    for (int i = 0; i < 5; ++i) {
      std::vector<net::Interval<Small>> intervals;
      for (int n = 0; n < 3; ++n) {
        const std::uint8_t a = next();
        const auto b =
            static_cast<std::uint8_t>(next() % 8 == 0 ? 255 : std::min(255, int{a} + next() % 40));
        intervals.push_back({{a}, {b}});
      }
      sets.push_back(net::IntervalSet<Small>::from(intervals));
    }
    const auto parts = partition(pointers(sets), 10000);
    REQUIRE(parts);
    for (unsigned n = 0; n < 256; ++n) {
      const Small number{static_cast<std::uint8_t>(n)};
      std::vector<std::size_t> expected;
      for (std::size_t i = 0; i < sets.size(); ++i) {
        if (sets[i].contains(number)) expected.push_back(i);
      }
      std::vector<std::size_t> found;
      int hits = 0;
      for (const auto& part : *parts) {
        if (part.interval.first.value <= n && n <= part.interval.last.value) {
          found = part.members;
          ++hits;
        }
      }
      REQUIRE(hits == (expected.empty() ? 0 : 1));
      REQUIRE(found == expected);
    }
  }
}

TEST_CASE("a partition over its budget is refused, not cut short") {
  Sets sets(20, net::IntervalSet<Small>::all());
  CHECK_FALSE(partition(pointers(sets), 19));
  CHECK(partition(pointers(sets), 20));
}

}  // namespace
}  // namespace rolewall::compile
