#include "analyze/first_match.h"

#include <algorithm>
#include <utility>

namespace rolewall::analyze {
namespace {

constexpr std::uint32_t kNoItem = 2;
constexpr std::uint32_t kFirstItem = 3;

}  // namespace

FirstMatch::FirstMatch(Diagrams& diagrams, std::vector<Item> items, Diagram realm, Parts& parts)
    : d_(diagrams), items_(std::move(items)), realm_(realm), parts_(parts) {
  first_ = d_.choose(realm_, first_of(0, items_.size()), kNothing);
  // Once for all: an item that stays decides where the list ends in it, and nowhere else.
  for (auto& [value, way] : d_.ways(first_)) {
    if (value >= kFirstItem) samples_.emplace(value - kFirstItem, std::move(way));
  }
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
  const std::pair key(begin, end);
  if (const auto had = parts_.find(key); had != parts_.end()) return had->second;
  const std::size_t half = begin + (end - begin) / 2;
  const Diagram all = d_.replace(first_of(begin, half), kNoItem, first_of(half, end));
  parts_.emplace(key, all);
  return all;
}

void FirstMatch::go_on(Diagram& all, std::size_t begin, std::size_t end, std::size_t from,
                       std::size_t to) {
  if (to <= begin || end <= from || from == to) return;
  if (begin <= from && to <= end) {
    all = d_.replace(all, kNoItem, first_of(from, to));
    return;
  }
  const std::size_t half = from + (to - from) / 2;
  go_on(all, begin, end, from, half);
  go_on(all, begin, end, half, to);
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

const Diagrams::Way* FirstMatch::sample(std::size_t item) const {
  const auto found = samples_.find(item);
  return found == samples_.end() ? nullptr : &found->second;
}

std::optional<std::size_t> FirstMatch::next(std::size_t item,
                                            const std::function<std::uint64_t(FieldId)>& packet) {
  return next_of(item, 0, items_.size(), packet);
}

std::optional<std::size_t> FirstMatch::next_of(
    std::size_t after, std::size_t begin, std::size_t end,
    const std::function<std::uint64_t(FieldId)>& packet) {
  if (end <= after + 1 || begin == end) return std::nullopt;
  if (begin > after) {
    const std::uint32_t value = d_.at(first_of(begin, end), packet);
    return value == kNoItem ? std::nullopt : std::optional<std::size_t>(value - kFirstItem);
  }
  const std::size_t half = begin + (end - begin) / 2;
  const auto found = next_of(after, begin, half, packet);
  return found ? found : next_of(after, half, end, packet);
}

bool FirstMatch::decides(std::size_t item) {
  if (items_[item].stays) return samples_.contains(item);
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
  Diagram all = kNothing;
  if (items_[without].stays) {
    // What it decides about now, and nothing else, is another's once it goes.
    const std::uint32_t number = static_cast<std::uint32_t>(without) + kFirstItem;
    all = d_.map(d_.choose(items_[item].packets, first_, kNothing), [&](std::uint32_t value) {
      return value == number ? terminal(kNoItem) : kNothing;
    });
  } else {
    all = d_.choose(own(item), terminal(kNoItem), kNothing);
    go_on(all, 0, without, 0, items_.size());
  }
  if (without < item) go_on(all, without + 1, item, 0, items_.size());
  return d_.map(all, [](std::uint32_t value) { return value == kNoItem ? kEverything : kNothing; });
}

std::vector<std::pair<std::size_t, Diagram>> FirstMatch::after(std::size_t item, Diagram packets) {
  Diagram all = d_.choose(packets, terminal(kNoItem), kNothing);
  go_on(all, item + 1, items_.size(), 0, items_.size());
  std::vector<std::pair<std::size_t, Diagram>> sets;
  std::vector<std::uint32_t> numbers = d_.terminals(all);
  std::ranges::sort(numbers);
  for (const std::uint32_t number : numbers) {
    if (number < kFirstItem) continue;
    sets.emplace_back(number - kFirstItem, d_.map(all, [&](std::uint32_t value) {
      return value == number ? kEverything : kNothing;
    }));
  }
  return sets;
}

}  // namespace rolewall::analyze
