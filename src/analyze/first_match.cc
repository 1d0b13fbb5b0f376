#include "analyze/first_match.h"

#include <algorithm>
#include <set>
#include <utility>

#include "analyze/fewest_members.h"

namespace rolewall::analyze {
namespace {

// Packets, before sets are gone into: of an item, and of its heirs, one of each.
constexpr std::size_t kDrawnPackets = 8;
constexpr std::size_t kDrawnOfHeirs = 200;
constexpr std::size_t kMostInATurn = 256;
constexpr std::size_t kNoItem = ~std::size_t{0};
constexpr std::uint64_t kBoxesInAStep = 16;
// What finding the fewest may cost, for one item.
constexpr std::size_t kPacketsForFewest = 64;
constexpr std::size_t kStepsForFewest = 20'000;

}  // namespace

FirstMatch::FirstMatch(Diagrams& diagrams, std::vector<Item> items, Diagram realm,
                       const Sides& sides)
    : d_(diagrams), items_(std::move(items)), realm_(realm), sides_(sides) {
  for (std::size_t i = 0; i < items_.size(); ++i) {
    for (std::size_t part = 0; part < boxes_.size(); ++part) {
      const Apart& apart = sides_.apart[part];
      Box box{static_cast<std::uint32_t>(i), {}};
      if (d_.box(items_[i].packets, sides_.given, apart.value, apart.fields, box.sides)) {
        boxes_[part].push_back(box);
      }
    }
  }
  packet_.resize(d_.field_count());
}

bool FirstMatch::meet(const Box& a, const Box& b) {
  for (std::size_t i = 0; i < kSides; ++i) {
    if (a.sides[i].first > b.sides[i].last || b.sides[i].first > a.sides[i].last) return false;
  }
  return true;
}

const FirstMatch::Box* FirstMatch::own_box(std::size_t item, std::size_t part) const {
  const auto own = std::ranges::lower_bound(boxes_[part], item, {}, &Box::item);
  return own == boxes_[part].end() || own->item != item ? nullptr : &*own;
}

void FirstMatch::look_before(std::size_t item) {
  if (asked_ == item) return;
  asked_ = item;
  covering_.clear();
  for (std::size_t part = 0; part < boxes_.size(); ++part) {
    before_[part].clear();
    const Box* const own = own_box(item, part);
    if (own == nullptr) continue;
    d_.spend(static_cast<std::uint64_t>(own - boxes_[part].data()) / kBoxesInAStep);
    for (const Box* box = boxes_[part].data(); box != own; ++box) {
      if (meet(*box, *own) && items_[box->item].stays) before_[part].push_back(box);
    }
  }
}

void FirstMatch::look_after(std::size_t item) {
  if (asked_after_ == item) return;
  asked_after_ = item;
  for (std::size_t part = 0; part < boxes_.size(); ++part) {
    after_[part].clear();
    const Box* const own = own_box(item, part);
    if (own == nullptr) continue;
    const Box* const end = boxes_[part].data() + boxes_[part].size();
    d_.spend(static_cast<std::uint64_t>(end - own) / kBoxesInAStep);
    for (const Box* box = own + 1; box != end; ++box) {
      if (meet(*box, *own) && items_[box->item].stays) after_[part].push_back(box);
    }
  }
}

std::size_t FirstMatch::part_of(Packet packet) const {
  return packet[sides_.given] == sides_.apart.front().value ? 0 : 1;
}

bool FirstMatch::has(const Box& box, std::size_t part, Packet packet) const {
  const auto& fields = sides_.apart[part].fields;
  for (std::size_t i = 0; i < kSides; ++i) {
    const std::uint64_t value = packet[fields[i]];
    if (value < box.sides[i].first || value > box.sides[i].last) return false;
  }
  return d_.at(items_[box.item].packets, packet) == value_of(kEverything);
}

std::optional<std::size_t> FirstMatch::first_before(Packet packet, std::size_t without) {
  const std::size_t part = part_of(packet);
  d_.spend(before_[part].size() / kBoxesInAStep);
  for (const Box* box : before_[part]) {
    if (box->item != without && has(*box, part, packet)) return box->item;
  }
  return std::nullopt;
}

std::optional<std::size_t> FirstMatch::next(std::size_t item, Packet packet) {
  look_after(item);
  const std::size_t part = part_of(packet);
  d_.spend(after_[part].size() / kBoxesInAStep);
  for (const Box* box : after_[part]) {
    if (has(*box, part, packet)) return box->item;
  }
  return std::nullopt;
}

// Each turn takes away the whole of what has some packets of the rest, so that it ends. Of more
// packets each time: what is taken away together costs little more than one of it.
bool FirstMatch::is_any_left(Diagram rest) {
  for (std::size_t count = 1; rest != kNothing; count = std::min(2 * count, kMostInATurn)) {
    std::set<std::size_t> holders;
    for (std::size_t i = 0; i < count; ++i) {
      d_.draw(rest, kEverything, seed_, packet_);
      const auto holder = first_before(packet_, kNoItem);
      if (!holder) return true;
      holders.insert(*holder);
    }
    covering_.insert(covering_.end(), holders.begin(), holders.end());
    std::vector<Diagram> sets;
    for (const std::size_t holder : holders) sets.push_back(d_.both(rest, items_[holder].packets));
    rest = d_.minus(rest, d_.union_of(std::move(sets)));
  }
  return false;
}

bool FirstMatch::covers(std::size_t earlier, std::size_t item) {
  const Diagram more = d_.minus(items_[item].packets, items_[earlier].packets);
  return !d_.meet(more, realm_);
}

bool FirstMatch::decides(std::size_t item, Diagram among) {
  const Diagram packets = d_.both(items_[item].packets, among);
  if (!d_.meet(packets, realm_)) return false;
  look_before(item);
  covering_.clear();
  std::optional<std::size_t> holder;
  for (std::size_t i = 0; i < kDrawnPackets; ++i) {
    d_.draw(packets, realm_, seed_, packet_);
    holder = first_before(packet_, kNoItem);
    if (!holder) return true;
  }
  if (covers(*holder, item)) {
    covering_.push_back(*holder);
    return false;
  }
  return is_any_left(d_.both(packets, realm_));
}

FirstMatch::Cover FirstMatch::blockers(std::size_t item) {
  look_before(item);
  d_.draw(items_[item].packets, realm_, seed_, packet_);
  // One that has all of them has this one, too.
  const std::size_t part = part_of(packet_);
  for (const Box* box : before_[part]) {
    if (has(*box, part, packet_) && covers(box->item, item)) return {{box->item}, true};
  }
  const Diagram all = own(item);
  if (covering_.empty()) is_any_left(all);
  std::vector<std::size_t> those = covering_;
  std::ranges::sort(those);
  std::vector<Diagram> shares;
  std::vector<Diagram> of_first{kNothing};  // so many of them together
  for (const std::size_t each : those) {
    shares.push_back(d_.both(all, items_[each].packets));
    of_first.push_back(d_.either(of_first.back(), shares.back()));
  }
  // From the last: what the first ones have already is not asked of the later ones.
  Diagram of_last = kNothing;
  for (std::size_t at = those.size(); at-- > 0;) {
    if (d_.either(of_first[at], of_last) == all) {
      those.erase(those.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      of_last = d_.either(of_last, shares[at]);
    }
  }
  return fewest(all, std::move(those));
}

// Of those that were looked at before: all that have the packet, in order.
std::vector<std::size_t> FirstMatch::holders(Packet packet) const {
  const std::size_t part = part_of(packet);
  std::vector<std::size_t> all;
  for (const Box* box : before_[part]) {
    if (has(*box, part, packet)) all.push_back(box->item);
  }
  return all;
}

// A cover has one of the holders of each packet. So the fewest that do so of some packets are no
// more than the fewest that cover all, and are those if they do; if not, a packet that they leave
// is one of the packets. REQUIRES: no item alone covers all; of `those`, which do, none can be left
// out.
FirstMatch::Cover FirstMatch::fewest(Diagram all, std::vector<std::size_t> those) {
  std::vector<std::vector<std::size_t>> packets;
  FewestMembers search(kStepsForFewest);
  for (std::size_t turn = 0; turn < kPacketsForFewest; ++turn) {
    if (those.size() <= 2) return {std::move(those), true};
    const auto found = search.find(packets, those.size() - 1);
    if (!found) return {std::move(those), !search.ended()};
    Diagram rest = all;
    for (const std::size_t each : *found) rest = d_.minus(rest, items_[each].packets);
    if (rest == kNothing) return {*found, true};
    d_.draw(rest, kEverything, seed_, packet_);
    packets.push_back(holders(packet_));
    d_.spend(before_[part_of(packet_)].size() / kBoxesInAStep);
  }
  return {std::move(those), false};
}

Diagram FirstMatch::left(std::size_t item, std::size_t without, const Pick& pick) {
  look_before(item);
  Diagram rest = d_.both(own(item), items_[without].packets);
  while (rest != kNothing) {
    const std::vector<std::uint64_t> packet = pick(rest);
    const auto holder = first_before(packet, without);
    if (!holder) break;
    rest = d_.minus(rest, items_[*holder].packets);
  }
  return rest;
}

std::size_t FirstMatch::count_before(std::size_t item) {
  look_before(item);
  return before_.front().size() + before_.back().size();
}

Diagram FirstMatch::left(std::size_t item, Diagram among) {
  look_before(item);
  const Diagram all = d_.both(own(item), among);
  std::vector<Diagram> sets;
  for (std::size_t part = 0; part < before_.size(); ++part) {
    const Apart& apart = sides_.apart[part];
    Box around;
    if (!d_.box(all, sides_.given, apart.value, apart.fields, around.sides)) continue;
    for (const Box* box : before_[part]) {
      if (meet(*box, around)) sets.push_back(d_.both(all, items_[box->item].packets));
    }
  }
  return d_.minus(all, d_.union_of(std::move(sets)));
}

// Tried first: a packet that the item decides about, and whose heir is not alike.
bool FirstMatch::has_unlike_heir(std::size_t item, const Alike& alike) {
  const auto is_unlike = [&] {
    if (first_before(packet_, kNoItem)) return false;
    const auto heir = next(item, packet_);
    return !heir || d_.at(alike(*heir), packet_) != value_of(kEverything);
  };
  for (std::size_t i = 0; i < kDrawnPackets; ++i) {
    d_.draw(items_[item].packets, realm_, seed_, packet_);
    if (is_unlike()) return true;
  }
  std::size_t left = kDrawnOfHeirs;
  for (const auto& boxes : after_) {
    for (const Box* box : boxes) {
      if (left == 0) return false;
      if (alike(box->item) == kEverything) continue;
      const Diagram shared = d_.both(items_[item].packets, items_[box->item].packets);
      if (!d_.meet(shared, realm_)) continue;
      --left;
      d_.draw(shared, realm_, seed_, packet_);
      if (is_unlike()) return true;
    }
  }
  return false;
}

// What is taken away of the rest is alike, whichever item has it next: of an heir's packets those
// that no item before it has that may be unlike.
bool FirstMatch::are_heirs_alike(std::size_t item, const Alike& alike, Diagram rest) {
  while (rest != kNothing) {
    d_.draw(rest, kEverything, seed_, packet_);
    if (const auto holder = first_before(packet_, kNoItem)) {
      rest = d_.minus(rest, items_[*holder].packets);
      continue;
    }
    const auto heir = next(item, packet_);
    if (!heir) return false;
    const Diagram passing = d_.both(d_.both(rest, items_[*heir].packets), alike(*heir));
    if (d_.at(passing, packet_) != value_of(kEverything)) return false;
    std::vector<Diagram> unlike;
    for (const auto& boxes : after_) {
      for (const Box* box : boxes) {
        if (box->item >= *heir) break;
        if (alike(box->item) == kEverything) continue;
        unlike.push_back(d_.both(passing, items_[box->item].packets));
      }
    }
    rest = d_.minus(rest, d_.minus(passing, d_.union_of(std::move(unlike))));
  }
  return true;
}

std::vector<std::size_t> FirstMatch::all_heirs(std::size_t item) {
  std::vector<std::size_t> all;
  for (const auto& boxes : after_) {
    for (const Box* box : boxes) all.push_back(box->item);
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  Diagram rest = left(item);
  std::erase_if(all, [&](std::size_t heir) {
    if (!d_.meet(rest, items_[heir].packets)) return true;
    rest = d_.minus(rest, items_[heir].packets);
    return false;
  });
  return all;
}

std::optional<std::vector<std::size_t>> FirstMatch::heirs(std::size_t item, const Alike& alike) {
  look_before(item);
  look_after(item);
  if (has_unlike_heir(item, alike)) return std::nullopt;
  if (!are_heirs_alike(item, alike, own(item))) return std::nullopt;
  return all_heirs(item);
}

bool FirstMatch::is_same(std::size_t a, std::size_t b) {
  return items_[a].packets == items_[b].packets || (covers(a, b) && covers(b, a));
}

}  // namespace rolewall::analyze
