// A list of sets of which the first decides, against all packets of a small space, one by one.
#include "analyze/first_match.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <numeric>
#include <vector>

#include "kernel/random.h"

namespace rolewall::analyze {
namespace {

using kernel_judge::Random;

// One field of two values that the boxes are apart by, and eight of one bit.
constexpr FieldId kBits = 9;
constexpr std::size_t kPackets = std::size_t{1} << kBits;
using OnePacket = std::array<std::uint64_t, kBits>;

OnePacket packet_of(std::size_t number) {
  OnePacket packet{};
  for (FieldId field = 0; field < kBits; ++field) packet[field] = number >> field & 1;
  return packet;
}

std::size_t number_of(FirstMatch::Packet packet) {
  std::size_t number = 0;
  for (FieldId field = 0; field < kBits; ++field) number |= packet[field] << field;
  return number;
}

struct Drawn {
  Diagrams diagrams;
  std::vector<FirstMatch::Item> items;
  Diagram realm = kNothing;

  explicit Drawn(Random& random) {
    for (FieldId field = 0; field < kBits; ++field) diagrams.add_field(1);
    const std::size_t count = 1 + random.below(12);
    for (std::size_t i = 0; i < count; ++i) {
      items.push_back({set(random, 1 + random.below(4)), random.percent(90)});
    }
    realm = diagrams.either(set(random, 1), set(random, 2));
  }

  // Some bits as drawn; now and then of two such.
  Diagram set(Random& random, unsigned bits) {
    Diagram all = kEverything;
    for (unsigned i = 0; i < bits; ++i) {
      const std::uint64_t value = random.below(2);
      all = diagrams.both(all, diagrams.where(random.below(kBits), value, value));
    }
    return random.percent(20) ? diagrams.either(all, set(random, bits)) : all;
  }

  bool has(Diagram set, std::size_t packet) const {
    return diagrams.at(set, packet_of(packet)) == value_of(kEverything);
  }
  // By number; of those that stay.
  std::vector<std::size_t> holders(std::size_t packet) const {
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i].stays && has(items[i].packets, packet)) all.push_back(i);
    }
    return all;
  }
  std::vector<std::size_t> packets_of(std::size_t item) const {
    std::vector<std::size_t> all;
    for (std::size_t packet = 0; packet < kPackets; ++packet) {
      if (has(items[item].packets, packet) && has(realm, packet)) all.push_back(packet);
    }
    return all;
  }
  std::vector<std::size_t> decided_by(std::size_t item) const {
    std::vector<std::size_t> all = packets_of(item);
    std::erase_if(all, [&](std::size_t packet) {
      const auto those = holders(packet);
      return !those.empty() && those.front() < item;
    });
    return all;
  }
  bool are_covered(std::size_t item, const std::vector<std::size_t>& by) const {
    return std::ranges::all_of(packets_of(item), [&](std::size_t packet) {
      return std::ranges::any_of(
          by, [&](std::size_t each) { return has(items[each].packets, packet); });
    });
  }
  // Of all choices of the items before it that stay.
  std::size_t fewest_that_cover(std::size_t item) const {
    using Packets = std::bitset<kPackets>;
    std::vector<Packets> before;
    for (std::size_t each = 0; each < item; ++each) {
      if (!items[each].stays) continue;
      Packets& had = before.emplace_back();
      for (const std::size_t packet : packets_of(each)) had.set(packet);
    }
    Packets wanted;
    for (const std::size_t packet : packets_of(item)) wanted.set(packet);
    std::size_t fewest = before.size() + 1;
    for (std::size_t choice = 0; choice < std::size_t{1} << before.size(); ++choice) {
      Packets all;
      for (std::size_t i = 0; i < before.size(); ++i) {
        if ((choice >> i & 1) != 0) all |= before[i];
      }
      const auto count = static_cast<std::size_t>(std::popcount(choice));
      if ((wanted & ~all).none()) fewest = std::min(fewest, count);
    }
    return fewest;
  }
  FirstMatch::Sides sides() const {
    std::array<FieldId, FirstMatch::kSides> fields{};
    std::iota(fields.begin(), fields.end(), 1);
    return {0, {{{0, fields}, {1, fields}}}};
  }
};

void check_blockers(Drawn& drawn, FirstMatch& first, std::size_t item) {
  const FirstMatch::Cover cover = first.blockers(item);
  const std::vector<std::size_t>& blockers = cover.items;
  CHECK(cover.fewest);
  CHECK(blockers.size() == drawn.fewest_that_cover(item));
  CHECK(std::ranges::is_sorted(blockers));
  CHECK(drawn.are_covered(item, blockers));
  for (std::size_t i = 0; i < blockers.size(); ++i) {
    std::vector<std::size_t> fewer = blockers;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(!drawn.are_covered(item, fewer));
  }
  for (std::size_t each = 0; each < item; ++each) {
    const bool alone = drawn.items[each].stays && drawn.are_covered(item, {each});
    if (!alone) continue;
    CHECK(blockers == std::vector<std::size_t>{each});
    break;
  }
  if (blockers.size() == 1) {
    CHECK(first.is_same(item, blockers.front()) ==
          (drawn.packets_of(item) == drawn.packets_of(blockers.front())));
  }
  for (const std::size_t without : blockers) {
    const auto pick = [&](Diagram of) {
      std::vector<std::uint64_t> values(kBits);
      std::uint64_t seed = 1;
      drawn.diagrams.draw(of, kEverything, seed, values);
      return values;
    };
    const Diagram left = first.left(item, without, pick);
    const auto is_left = [&](std::size_t packet) {
      const auto those = drawn.holders(packet);
      return std::ranges::none_of(those,
                                  [&](std::size_t each) { return each < item && each != without; });
    };
    const auto packets = drawn.packets_of(item);
    CHECK((left != kNothing) == std::ranges::any_of(packets, is_left));
    if (left != kNothing) CHECK(is_left(number_of(pick(left))));
  }
}

TEST_CASE("what an item of a list decides, who has its packets, and who would have them") {
  Random random(19);
  std::size_t dead = 0;
  std::size_t inherited = 0;
  for (int round = 0; round < 300; ++round) {
    Drawn drawn(random);
    FirstMatch first(drawn.diagrams, drawn.items, drawn.realm, drawn.sides());
    for (std::size_t i = 0; i < drawn.items.size(); ++i) {
      const auto decided = drawn.decided_by(i);
      CHECK(first.is_there(i) == !drawn.packets_of(i).empty());
      CHECK(first.decides(i) == !decided.empty());
      if (decided.empty()) {
        if (first.is_there(i)) check_blockers(drawn, first, i), ++dead;
        continue;
      }
      CHECK(std::ranges::find(decided, number_of(first.witness())) != decided.end());
      const Diagram left = first.left(i);
      for (std::size_t packet = 0; packet < kPackets; ++packet) {
        const bool is_decided = std::ranges::find(decided, packet) != decided.end();
        CHECK(drawn.has(left, packet) == is_decided);
      }
      const Diagram among = drawn.set(random, 2);
      CHECK(first.decides(i, among) ==
            std::ranges::any_of(decided, [&](auto packet) { return drawn.has(among, packet); }));
      // Every second item is alike of all its packets, the others of half of them.
      const Diagram half = drawn.diagrams.where(3, 0, 0);
      const auto alike = [&](std::size_t later) { return later % 2 == 0 ? kEverything : half; };
      std::vector<std::size_t> wanted;
      bool all_alike = true;
      for (const std::size_t packet : decided) {
        const auto those = drawn.holders(packet);
        const auto heir = std::ranges::upper_bound(those, i);
        all_alike = all_alike && heir != those.end() && drawn.has(alike(*heir), packet);
        if (heir != those.end()) wanted.push_back(*heir);
      }
      std::ranges::sort(wanted);
      wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
      const auto heirs = first.heirs(i, alike);
      CHECK(heirs.has_value() == all_alike);
      if (heirs) CHECK(*heirs == wanted), ++inherited;
    }
  }
  CHECK(dead > 100);
  CHECK(inherited > 50);
}

}  // namespace
}  // namespace rolewall::analyze
