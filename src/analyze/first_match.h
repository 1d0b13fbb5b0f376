// A list of sets of packets of which the first that has a packet decides about it: which of them
// never do, and because of which earlier ones. Nothing of rules is known here.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "analyze/diagram.h"

namespace rolewall::analyze {

class FirstMatch {
 public:
  struct Item {
    Diagram packets = kNothing;
    bool stays = true;  // else what comes after is asked as if it were not there
    auto operator<=>(const Item&) const = default;
  };
  // Of its parts, from one item to another, which item decides: whatever the realm.
  using Parts = std::map<std::pair<std::size_t, std::size_t>, Diagram>;
  // Of the packets of `realm` alone. `parts`: of the same items in the same diagrams, filled
  // further. Refers to both. May throw BudgetEnded, as all below.
  FirstMatch(Diagrams& diagrams, std::vector<Item> items, Diagram realm, Parts& parts);

  // Whether any packet of the item comes to the list at all.
  bool is_there(std::size_t item) { return own(item) != kNothing; }
  // Whether one of them is left by what comes before.
  bool decides(std::size_t item);
  // One packet that the item decides about, as a way down. Null: none, or the item does not stay.
  const Diagrams::Way* sample(std::size_t item) const;
  // Which item after this one has the packet. Absent: none has it.
  std::optional<std::size_t> next(std::size_t item,
                                  const std::function<std::uint64_t(FieldId)>& packet);

  // Earlier items that together have all of this one's packets; without any of them they do not.
  // One alone where one does it. In order. REQUIRES: !decides(item).
  std::vector<std::size_t> blockers(std::size_t item);
  // What the item would decide if that earlier one went; others may have it all the same.
  Diagram left(std::size_t item, std::size_t without);
  // Of its packets, those that no item before it has.
  Diagram left(std::size_t item) { return left(item, item); }
  // Which later items have the packets: a set for each that has some, in order. What none has is
  // in no set.
  std::vector<std::pair<std::size_t, Diagram>> after(std::size_t item, Diagram packets);
  // Whether both have the same packets.
  bool is_same(std::size_t a, std::size_t b) { return own(a) == own(b); }

 private:
  // Where more stand before an item, one that covers it alone is looked for among those that
  // decide about some of its packets.
  static constexpr std::size_t kAsked = 500;

  Diagram own(std::size_t item) { return d_.both(items_[item].packets, realm_); }
  Diagram first_of(std::size_t begin, std::size_t end);
  // Where it ends in no item, it goes on with those from `begin` to `end`; of the halves of
  // `from` to `to`, whose diagrams are made once.
  void go_on(Diagram& all, std::size_t begin, std::size_t end, std::size_t from, std::size_t to);
  std::optional<std::size_t> next_of(std::size_t after, std::size_t begin, std::size_t end,
                                     const std::function<std::uint64_t(FieldId)>& packet);
  // Those that decide about packets of the item, in order; the item itself and later ones too.
  std::vector<std::size_t> deciding(std::size_t item, bool& none);

  Diagrams& d_;
  std::vector<Item> items_;
  Diagram realm_;
  Parts& parts_;
  Diagram first_ = kNothing;                      // to the number of the item that decides
  std::map<std::size_t, Diagrams::Way> samples_;  // of each item that is in it
};

}  // namespace rolewall::analyze
