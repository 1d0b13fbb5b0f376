#include "analyze/first_match.h"

#include <algorithm>
#include <utility>

namespace rolewall::analyze {
namespace {

constexpr std::uint32_t kNoItem = 2;
constexpr std::uint32_t kFirstItem = 3;

}  // namespace

FirstMatch::FirstMatch(Diagrams& diagrams, std::vector<Item> items, Diagram realm)
    : d_(diagrams), items_(std::move(items)), realm_(realm) {
  first_ = d_.choose(realm_, first_of(0, items_.size()), kNothing);
}

// By halves: no long list is walked once for each of its items.
Diagram FirstMatch::first_of(std::size_t begin, std::size_t end) {
  if (begin == end) return terminal(kNoItem);
  if (end - begin == 1) {
    const Item& item = items_[begin];
    if (!item.stays) return terminal(kNoItem);
    const auto number = static_cast<std::uint32_t>(begin) + kFirstItem;
    return d_.choose(item.packets, terminal(number), terminal(kNoItem));
  }
  const std::size_t half = begin + (end - begin) / 2;
  return d_.replace(first_of(begin, half), kNoItem, first_of(half, end));
}

std::vector<std::size_t> FirstMatch::deciding(std::size_t item, bool& none) {
  std::vector<std::size_t> all;
  none = false;
  for (const std::uint32_t value :
       d_.terminals(d_.choose(items_[item].packets, first_, kNothing))) {
    if (value == kNoItem) none = true;
    if (value >= kFirstItem) all.push_back(value - kFirstItem);
  }
  std::ranges::sort(all);
  return all;
}

bool FirstMatch::decides(std::size_t item) {
  bool none = false;
  const std::vector<std::size_t> all = deciding(item, none);
  return none || (!all.empty() && all.back() >= item);
}

std::vector<std::size_t> FirstMatch::blockers(std::size_t item) {
  const Diagram all = own(item);
  const auto covers = [&](std::size_t earlier) {
    return items_[earlier].stays && d_.minus(all, items_[earlier].packets) == kNothing;
  };
  bool none = false;
  std::vector<std::size_t> those = deciding(item, none);
  if (item <= kAsked) {
    for (std::size_t i = 0; i < item; ++i) {
      if (covers(i)) return {i};
    }
  }
  if (const auto one = std::ranges::find_if(those, covers); one != those.end()) return {*one};
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

Diagram FirstMatch::left(std::size_t item, std::size_t without) {
  Diagram rest = own(item);
  for (std::size_t i = 0; i < item && rest != kNothing; ++i) {
    if (i != without && items_[i].stays) rest = d_.minus(rest, items_[i].packets);
  }
  return rest;
}

}  // namespace rolewall::analyze
