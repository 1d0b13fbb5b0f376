// Elements of two sets, compared without a kernel.
#include "apply/elements.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "apply/difference.h"
#include "ruleset/expr.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

using namespace test;

// Some rows more than the blocks that are compared at once.
constexpr std::uint32_t kRows = 5000;

std::uint32_t number_of(std::span<const std::uint8_t> key) {
  return std::uint32_t{key[0]} << 24 | std::uint32_t{key[1]} << 16 | std::uint32_t{key[2]} << 8 |
         key[3];
}

Set addresses(const std::vector<std::uint32_t>& numbers) {
  Set set = address_set("addresses");
  for (const std::uint32_t n : numbers) {
    add_address(set, {static_cast<std::uint8_t>(n >> 24), static_cast<std::uint8_t>(n >> 16),
                      static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)});
  }
  return set;
}

std::vector<std::uint32_t> numbers_of(const Elements& elements) {
  std::vector<std::uint32_t> numbers;
  for (std::size_t i = 0; i < elements.count(); ++i) numbers.push_back(number_of(elements.key(i)));
  return numbers;
}

Table table_of(const Set& set) {
  Table table;
  table.family = Family::Inet;
  table.name = "rolewall";
  table.sets = {set};
  return table;
}

using Numbers = std::vector<std::uint32_t>;

// What an apply would take out and put in.
std::pair<Numbers, Numbers> changes(const Set& live, const Set& wanted) {
  const Difference found = difference(table_of(live), table_of(wanted));
  REQUIRE(found.change.removed_elements.size() <= 1);
  REQUIRE(found.change.added_elements.size() <= 1);
  std::pair<Numbers, Numbers> numbers;
  for (const auto& part : found.change.removed_elements) numbers.first = numbers_of(part.elements);
  for (const auto& part : found.change.added_elements) numbers.second = numbers_of(part.elements);
  return numbers;
}

Numbers even_numbers() {
  Numbers numbers;
  for (std::uint32_t i = 1; i <= kRows; ++i) numbers.push_back(2 * i);
  return numbers;
}

}  // namespace

TEST_CASE("of a long list no more changes than what is other, wherever it stands") {
  const Numbers before = even_numbers();
  CHECK(changes(addresses(before), addresses(before)) == std::pair<Numbers, Numbers>());
  for (const std::uint32_t odd : {1U, 3U, 2047U, 2049U, kRows - 1, 2 * kRows - 1, 2 * kRows + 1}) {
    Numbers after = before;
    after.insert(std::ranges::lower_bound(after, odd), odd);
    CHECK(changes(addresses(before), addresses(after)) == std::pair{Numbers{}, Numbers{odd}});
    CHECK(changes(addresses(after), addresses(before)) == std::pair{Numbers{odd}, Numbers{}});
  }
  Numbers after = before;
  after.erase(after.begin() + 17);
  after.back() = 99'999;
  after.insert(after.begin(), 1);
  CHECK(changes(addresses(before), addresses(after)) ==
        std::pair{Numbers{36, 2 * kRows}, Numbers{1, 99'999}});
  CHECK(changes(addresses({}), addresses({5, 7})) == std::pair{Numbers{}, Numbers{5, 7}});
  CHECK(changes(addresses({5, 7}), addresses({})) == std::pair{Numbers{5, 7}, Numbers{}});
}

TEST_CASE("the order in which elements are read is no difference") {
  Numbers before = even_numbers();
  Numbers after = before;
  std::swap(before[10], before[4000]);
  CHECK(changes(addresses(before), addresses(after)) == std::pair<Numbers, Numbers>());
  after.push_back(77'777);
  std::swap(after[1], after.back());
  CHECK(changes(addresses(before), addresses(after)) == std::pair{Numbers{}, Numbers{77'777}});
}

TEST_CASE("a range that ends elsewhere is another") {
  Set before = addresses(even_numbers());
  before.interval = true;
  before.elements.key_ends = before.elements.keys;
  Set after = before;
  after.elements.key_ends[4 * 3000 + 3] += 1;
  const auto [removed, added] = changes(before, after);
  CHECK(removed == Numbers{6002});
  CHECK(added == Numbers{6002});
  const Unlike unlike = without_equal_ends(before.elements, after.elements);
  CHECK(unlike.a.count() == 1);
  CHECK(number_of(unlike.b.key_end(0)) == 6003);
}

TEST_CASE("all but elements and handle declares a set") {
  const Set set = addresses({1, 2, 3});
  Set other = addresses({4});
  other.handle = 9;
  CHECK(same_declaration(set, other));
  for (auto change : {+[](Set& s) { s.name = "b"; }, +[](Set& s) { s.size = 7; },
                      +[](Set& s) { s.interval = true; }, +[](Set& s) { s.comment = "c"; },
                      +[](Set& s) { s.timeout_ms = 1; }, +[](Set& s) { s.key[0].size = 16; },
                      +[](Set& s) { s.unsupported = "why"; }, +[](Set& s) { s.notes = {1}; },
                      +[](Set& s) { s.exprs = {Counter{}}; }}) {
    Set changed = set;
    change(changed);
    CHECK(!same_declaration(set, changed));
  }
}

}  // namespace rolewall::apply
