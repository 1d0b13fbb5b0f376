// Diagrams against brute force: over small fields every packet can be asked, so that each operation
// is compared with what it says at each of them.
#include "analyze/diagram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "kernel/random.h"

namespace rolewall::analyze {
namespace {

using kernel_judge::Random;

// Three fields of 2, 3 and 1 bits: 64 packets.
constexpr std::array<unsigned, 3> kWidths{2, 3, 1};
using SmallPacket = std::array<std::uint64_t, 3>;

std::vector<SmallPacket> all_packets() {
  std::vector<SmallPacket> all;
  for (std::uint64_t a = 0; a < 4; ++a) {
    for (std::uint64_t b = 0; b < 8; ++b) {
      for (std::uint64_t c = 0; c < 2; ++c) all.push_back({a, b, c});
    }
  }
  return all;
}

// What a diagram says, packet by packet.
std::vector<std::uint32_t> table_of(const Diagrams& diagrams, Diagram diagram) {
  std::vector<std::uint32_t> table;
  for (const SmallPacket& packet : all_packets()) {
    table.push_back(diagrams.at(diagram, [&](FieldId field) { return packet[field]; }));
  }
  return table;
}

// A diagram of any function, made of its packets one by one.
Diagram make(Diagrams& diagrams, const std::vector<std::uint32_t>& table) {
  Diagram all = terminal(table.front());
  const std::vector<SmallPacket> packets = all_packets();
  for (std::size_t i = 0; i < packets.size(); ++i) {
    Diagram one = kEverything;
    for (FieldId field = 0; field < 3; ++field) {
      one = diagrams.both(one, diagrams.where(field, packets[i][field], packets[i][field]));
    }
    all = diagrams.choose(one, terminal(table[i]), all);
  }
  return all;
}

struct Small {
  Diagrams diagrams;
  explicit Small(Budget budget = {}) : diagrams(budget) {
    for (const unsigned bits : kWidths) diagrams.add_field(bits);
  }
};

std::vector<std::uint32_t> random_table(Random& random, std::uint32_t terminals) {
  std::vector<std::uint32_t> table;
  // Often alike, so that diagrams share what they have in common.
  const bool sparse = random.percent(50);
  for (std::size_t i = 0; i < 64; ++i) {
    table.push_back(sparse && random.percent(80) ? 0 : random.below(terminals));
  }
  return table;
}

TEST_CASE("a function has one diagram") {
  Small small;
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    const auto table = random_table(random, 3);
    const Diagram diagram = make(small.diagrams, table);
    CHECK(table_of(small.diagrams, diagram) == table);
    CHECK(make(small.diagrams, table) == diagram);
  }
}

TEST_CASE("operations on sets say at each packet what they say of truth values") {
  Small small;
  Diagrams& d = small.diagrams;
  Random random(2);
  for (int i = 0; i < 500; ++i) {
    const auto a = random_table(random, 2);
    const auto b = random_table(random, 2);
    const Diagram da = make(d, a);
    const Diagram db = make(d, b);
    std::vector<std::uint32_t> both, either, minus, complement;
    for (std::size_t at = 0; at < a.size(); ++at) {
      both.push_back(a[at] & b[at]);
      either.push_back(a[at] | b[at]);
      minus.push_back(a[at] & (1 - b[at]));
      complement.push_back(1 - a[at]);
    }
    CHECK(table_of(d, d.both(da, db)) == both);
    CHECK(table_of(d, d.either(da, db)) == either);
    CHECK(table_of(d, d.minus(da, db)) == minus);
    CHECK(table_of(d, d.complement(da)) == complement);
    CHECK(d.complement(d.complement(da)) == da);
    CHECK(d.union_of({da, db, d.both(da, db)}) == d.either(da, db));
  }
}

TEST_CASE("choose, replace and map say at each packet what they say of a value") {
  Small small;
  Diagrams& d = small.diagrams;
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    const auto set = random_table(random, 2);
    const auto a = random_table(random, 4);
    const auto b = random_table(random, 4);
    const Diagram ds = make(d, set);
    const Diagram da = make(d, a);
    const Diagram db = make(d, b);
    std::vector<std::uint32_t> chosen, replaced, mapped, renamed;
    for (std::size_t at = 0; at < a.size(); ++at) {
      chosen.push_back(set[at] == 1 ? a[at] : b[at]);
      replaced.push_back(a[at] == 2 ? b[at] : a[at]);
      // 1 and 2 change places, 3 becomes what b is.
      mapped.push_back(a[at] == 1 ? 2 : a[at] == 2 ? 1 : a[at] == 3 ? b[at] : a[at]);
      renamed.push_back(a[at] == 1 ? 2 : a[at] == 2 ? 1 : a[at] == 3 ? 0 : a[at]);
    }
    CHECK(table_of(d, d.choose(ds, da, db)) == chosen);
    CHECK(table_of(d, d.replace(da, 2, db)) == replaced);
    CHECK(table_of(d, d.map(da, [&](std::uint32_t value) {
            return value == 1   ? terminal(2)
                   : value == 2 ? terminal(1)
                   : value == 3 ? db
                                : terminal(value);
          })) == mapped);
    // To terminals alone, which is one walk.
    CHECK(table_of(d, d.map(da, [](std::uint32_t value) {
            return terminal(value == 1 ? 2 : value == 2 ? 1 : value == 3 ? 0 : value);
          })) == renamed);
  }
}

TEST_CASE("quantified fields are gone") {
  Small small;
  Diagrams& d = small.diagrams;
  Random random(4);
  const std::vector<SmallPacket> packets = all_packets();
  for (int i = 0; i < 300; ++i) {
    const auto table = random_table(random, 2);
    const Diagram set = make(d, table);
    const FieldId gone = random.below(3);
    for (const Quantifier quantifier : {Quantifier::Any, Quantifier::All}) {
      const Diagram left = d.quantify(
          set, [&](FieldId field) { return field == gone ? quantifier : Quantifier::Keep; });
      const auto fields = d.fields(left);
      CHECK(std::ranges::find(fields, gone) == fields.end());
      for (const SmallPacket& packet : packets) {
        bool some = false;
        bool all = true;
        for (std::size_t at = 0; at < packets.size(); ++at) {
          SmallPacket same = packets[at];
          same[gone] = packet[gone];
          if (same != packet) continue;
          some = some || table[at] == 1;
          all = all && table[at] == 1;
        }
        const bool is = d.at(left, [&](FieldId field) { return packet[field]; }) == 1;
        CHECK(is == (quantifier == Quantifier::Any ? some : all));
      }
    }
  }
}

TEST_CASE("what passes is gone, and what is made after it is right") {
  Random random(3);
  Small small;
  Diagrams& d = small.diagrams;
  std::vector<std::pair<Diagram, std::vector<std::uint32_t>>> kept;
  const auto drawn = [&] {
    std::vector<std::uint32_t> table;
    for (std::size_t i = 0; i < all_packets().size(); ++i) table.push_back(random.below(2));
    return table;
  };
  for (int round = 0; round < 100; ++round) {
    std::vector<std::uint32_t> table = drawn();
    kept.emplace_back(make(d, table), table);
    const std::uint64_t edges = d.edges();
    {
      const Diagrams::Passing passing(d);
      table = drawn();
      const Diagram one = make(d, table);
      CHECK(table_of(d, one) == table);
      const Diagrams::Passing within(d);
      const auto& [other, other_table] = kept[random.below(static_cast<unsigned>(kept.size()))];
      const auto both = table_of(d, d.both(one, other));
      for (std::size_t i = 0; i < both.size(); ++i) CHECK(both[i] == (table[i] & other_table[i]));
      CHECK(d.meet(one, other) == (std::ranges::find(both, 1) != both.end()));
    }
    CHECK(d.edges() == edges);
    for (const auto& [diagram, its] : kept) CHECK(table_of(d, diagram) == its);
  }
}

TEST_CASE("a way leads to its terminal, by what was wanted where that leads there") {
  Small small;
  Diagrams& d = small.diagrams;
  Random random(5);
  const std::array<std::uint64_t, 1> wanted{3};
  for (int i = 0; i < 300; ++i) {
    const auto table = random_table(random, 3);
    const Diagram diagram = make(d, table);
    const auto way = d.way_to(diagram, 2, [&](FieldId field) {
      return field == 1 ? std::span<const std::uint64_t>(wanted) : std::span<const std::uint64_t>();
    });
    const bool is_there = std::ranges::find(table, 2U) != table.end();
    REQUIRE(way.has_value() == is_there);
    if (!way) continue;
    SmallPacket packet{};
    for (const Diagrams::Step& step : *way) packet[step.field] = step.values.first;
    CHECK(d.at(diagram, [&](FieldId field) { return packet[field]; }) == 2);
  }
}

TEST_CASE("a budget ends in words, and what was there stays good") {
  Small small(Budget{.edges = 40, .steps = 1000});
  Random random(6);
  const Diagram before = small.diagrams.where(0, 1, 2);
  std::string why;
  try {
    for (int i = 0; i < 100; ++i) make(small.diagrams, random_table(random, 4));
  } catch (const BudgetEnded& ended) {
    why = ended.what;
  }
  CHECK(why == "40 edges");
  CHECK(small.diagrams.where(0, 1, 2) == before);

  Small slow(Budget{.edges = 1'000'000, .steps = 500});
  try {
    for (int i = 0; i < 100; ++i) make(slow.diagrams, random_table(random, 4));
  } catch (const BudgetEnded& ended) {
    why = ended.what;
  }
  CHECK(why == "500 steps");
}

TEST_CASE("the whole width of a field is there") {
  Diagrams d;
  const FieldId wide = d.add_field(64);
  const std::uint64_t most = ~std::uint64_t{0};
  const Diagram top = d.where(wide, most, most);
  const Diagram rest = d.where(wide, 0, most - 1);
  CHECK(d.both(top, rest) == kNothing);
  CHECK(d.either(top, rest) == kEverything);
  CHECK(d.where(wide, 0, most) == kEverything);
}

}  // namespace
}  // namespace rolewall::analyze
