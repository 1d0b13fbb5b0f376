#include "analyze/first_match.h"

#include <algorithm>
#include <utility>

namespace rolewall::analyze {
namespace {

constexpr std::size_t kDrawnPackets = 12;  // packets, before sets are gone into
constexpr std::size_t kNoItem = ~std::size_t{0};
constexpr std::uint64_t kBoxesInAStep = 16;

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

void FirstMatch::look_before(std::size_t item) {
  if (asked_ == item) return;
  asked_ = item;
  covering_.clear();
  for (std::size_t part = 0; part < boxes_.size(); ++part) {
    before_[part].clear();
    const auto own = std::ranges::lower_bound(boxes_[part], item, {}, &Box::item);
    if (own == boxes_[part].end() || own->item != item) continue;
    d_.spend(static_cast<std::uint64_t>(own - boxes_[part].begin()) / kBoxesInAStep);
    for (auto box = boxes_[part].begin(); box != own; ++box) {
      if (meet(*box, *own) && items_[box->item].stays) before_[part].push_back(&*box);
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
  const std::size_t part = part_of(packet);
  const std::vector<Box>& boxes = boxes_[part];
  const auto begin = std::ranges::upper_bound(boxes, item, {}, &Box::item);
  const auto found = std::find_if(begin, boxes.end(), [&](const Box& box) {
    return items_[box.item].stays && has(box, part, packet);
  });
  d_.spend(static_cast<std::uint64_t>(found - begin) / kBoxesInAStep);
  return found == boxes.end() ? std::nullopt : std::optional<std::size_t>(found->item);
}

// Each turn takes away the whole of what has the packet, so that it ends.
bool FirstMatch::is_any_left(Diagram rest) {
  while (rest != kNothing) {
    d_.draw(rest, kEverything, seed_, packet_);
    const auto holder = first_before(packet_, kNoItem);
    if (!holder) return true;
    covering_.push_back(*holder);
    rest = d_.minus(rest, items_[*holder].packets);
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

std::vector<std::size_t> FirstMatch::blockers(std::size_t item) {
  look_before(item);
  d_.draw(items_[item].packets, realm_, seed_, packet_);
  // One that has all of them has this one, too.
  const std::size_t part = part_of(packet_);
  for (const Box* box : before_[part]) {
    if (has(*box, part, packet_) && covers(box->item, item)) return {box->item};
  }
  const Diagram all = own(item);
  if (covering_.empty()) is_any_left(all);
  std::vector<std::size_t> those = covering_;
  std::ranges::sort(those);
  // From the last: what the first ones have already is not asked of the later ones.
  for (std::size_t at = those.size(); at-- > 0;) {
    std::vector<Diagram> others;
    for (std::size_t i = 0; i < those.size(); ++i) {
      if (i != at) others.push_back(d_.both(all, items_[those[i]].packets));
    }
    if (d_.union_of(std::move(others)) != all) continue;
    those.erase(those.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return those;
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

Diagram FirstMatch::left(std::size_t item) {
  look_before(item);
  Diagram rest = own(item);
  for (const auto& boxes : before_) {
    for (const Box* box : boxes) rest = d_.minus(rest, items_[box->item].packets);
  }
  return rest;
}

// Of the packets, those that no item between them has.
Diagram FirstMatch::inherited(std::size_t item, std::size_t heir, Diagram packets) {
  packets = d_.both(packets, items_[heir].packets);
  for (const std::vector<Box>& boxes : boxes_) {
    const auto own = std::ranges::lower_bound(boxes, item, {}, &Box::item);
    if (own == boxes.end() || own->item != item) continue;
    for (auto box = own + 1; box != boxes.end() && box->item < heir; ++box) {
      const bool is_between = items_[box->item].stays && meet(*box, *own);
      if (is_between) packets = d_.minus(packets, items_[box->item].packets);
    }
    d_.spend((heir - item) / kBoxesInAStep);
  }
  return packets;
}

std::optional<std::vector<std::size_t>> FirstMatch::heirs(
    std::size_t item, const std::function<Diagram(std::size_t)>& alike) {
  look_before(item);
  const auto heir_of = [&](std::optional<std::size_t>& heir) {
    heir = next(item, packet_);
    return heir && d_.at(alike(*heir), packet_) == value_of(kEverything);
  };
  std::optional<std::size_t> heir;
  for (std::size_t i = 0; i < kDrawnPackets; ++i) {
    d_.draw(items_[item].packets, realm_, seed_, packet_);
    if (!first_before(packet_, kNoItem) && !heir_of(heir)) return std::nullopt;
  }
  std::vector<std::size_t> all;
  Diagram rest = own(item);
  while (rest != kNothing) {
    d_.draw(rest, kEverything, seed_, packet_);
    if (const auto holder = first_before(packet_, kNoItem)) {
      rest = d_.minus(rest, items_[*holder].packets);
      continue;
    }
    if (!heir_of(heir)) return std::nullopt;
    all.push_back(*heir);
    rest = d_.minus(rest, d_.both(inherited(item, *heir, rest), alike(*heir)));
  }
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

bool FirstMatch::is_same(std::size_t a, std::size_t b) {
  return items_[a].packets == items_[b].packets || (covers(a, b) && covers(b, a));
}

}  // namespace rolewall::analyze
