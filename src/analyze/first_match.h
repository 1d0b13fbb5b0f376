// A list of sets of packets of which the first that has a packet decides about it: which of them
// never do, and because of which earlier ones. Nothing of rules is known here.
//
// No diagram of the whole list is made: of 10,000 rules it may have a hundred million edges.
// Around each set stands a box, so that each is asked beside the few whose boxes meet its own. A
// drawn packet that none of these has is a witness: mostly the first one is. Else what has the
// packet is taken away, and a packet is drawn of the rest, until one is a witness or nothing is
// left; so what has been taken away covers it. Every answer is exact: a witness is a packet, and
// what is left is a set.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "analyze/diagram.h"

namespace rolewall::analyze {

class FirstMatch {
 public:
  struct Item {
    Diagram packets = kNothing;
    bool stays = true;  // else what comes after is asked as if it were not there
  };
  // Fields that tell items apart: of packets with a value of `given`, these.
  static constexpr std::size_t kSides = 8;
  struct Apart {
    std::uint64_t value = 0;
    std::array<FieldId, kSides> fields{};
  };
  struct Sides {
    FieldId given = 0;
    std::array<Apart, 2> apart;  // by value, all that there are
  };
  using Packet = std::span<const std::uint64_t>;  // by field

  // Of the packets of `realm` alone. Refers to the diagrams. May throw BudgetEnded, as all below.
  FirstMatch(Diagrams& diagrams, std::vector<Item> items, Diagram realm, const Sides& sides);

  // Whether any packet of the item comes to the list at all.
  bool is_there(std::size_t item) { return d_.meet(items_[item].packets, realm_); }
  // Whether one of them is left by what comes before; of those of `among` alone.
  bool decides(std::size_t item) { return decides(item, kEverything); }
  bool decides(std::size_t item, Diagram among);
  // One that it decides about. REQUIRES: it was asked of last, and decides.
  Packet witness() const { return packet_; }
  // Which item after this one has the packet. Absent: none has it.
  std::optional<std::size_t> next(std::size_t item, Packet packet);

  // The later items that would have the packets that the item decides about, in order, if each of
  // these is one of `alike`, of the item that would have it. Absent: one is not, or none has it.
  using Alike = std::function<Diagram(std::size_t)>;
  std::optional<std::vector<std::size_t>> heirs(std::size_t item, const Alike& alike);

  // The fewest earlier items that together have all of this one's packets, in order. Where finding
  // out takes too long: some of which none can be left out. REQUIRES: is_there(item),
  // !decides(item).
  struct Cover {
    std::vector<std::size_t> items;
    bool fewest = true;
  };
  Cover blockers(std::size_t item);
  // A set whose packet by `pick` the item would decide about if that earlier one went. kNothing:
  // others have all of them. REQUIRES: !decides(item).
  using Pick = std::function<std::vector<std::uint64_t>(Diagram)>;
  Diagram left(std::size_t item, std::size_t without, const Pick& pick);
  // How many before it may have packets of it: what left() costs grows with them.
  std::size_t count_before(std::size_t item);
  // Of its packets, those that no item before it has; of those of `among` alone.
  Diagram left(std::size_t item, Diagram among = kEverything);
  // Whether both have the same packets.
  bool is_same(std::size_t a, std::size_t b);

 private:
  struct Box {
    std::uint32_t item = 0;
    std::array<Values, kSides> sides;
  };

  Diagram own(std::size_t item) { return d_.both(items_[item].packets, realm_); }
  bool covers(std::size_t earlier, std::size_t item);
  Cover fewest(Diagram all, std::vector<std::size_t> those);
  std::vector<std::size_t> holders(Packet packet) const;
  static bool meet(const Box& a, const Box& b);
  void look_before(std::size_t item);
  std::size_t part_of(Packet packet) const;
  bool has(const Box& box, std::size_t part, Packet packet) const;
  std::optional<std::size_t> first_before(Packet packet, std::size_t without);
  bool is_any_left(Diagram rest);
  void look_after(std::size_t item);
  const Box* own_box(std::size_t item, std::size_t part) const;
  bool has_unlike_heir(std::size_t item, const Alike& alike);
  bool are_heirs_alike(std::size_t item, const Alike& alike, Diagram rest);
  std::vector<std::size_t> all_heirs(std::size_t item);

  Diagrams& d_;
  std::vector<Item> items_;
  Diagram realm_;
  Sides sides_;
  std::array<std::vector<Box>, 2> boxes_;  // of those that have some, in order
  std::uint64_t seed_ = 1;
  std::vector<std::uint64_t> packet_;  // the last one that was drawn
  // Of the last item that was asked about: those before it that stay and may have packets of it,
  // and those that were found to have all of them together.
  std::size_t asked_ = ~std::size_t{0};
  std::array<std::vector<const Box*>, 2> before_;
  std::vector<std::size_t> covering_;
  std::size_t asked_after_ = ~std::size_t{0};
  std::array<std::vector<const Box*>, 2> after_;  // likewise
};

}  // namespace rolewall::analyze
