// A set of numbers-like values as sorted, disjoint, non-adjacent inclusive intervals: the exact
// algebra under every address and port condition. A flat array, so a million entries are one block
// of memory; union, difference and intersection are one linear pass over both.
//
// Value: a struct with `value` (an unsigned number) and `Number`, as net::Ipv4.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace rolewall::net {

template <class Value>
struct Interval {
  Value first;
  Value last;  // inclusive
  bool operator==(const Interval&) const = default;
};

template <class Value>
class IntervalSet {
 public:
  using Number = typename Value::Number;
  static constexpr Number kMax = static_cast<Number>(~Number{0});

  IntervalSet() = default;

  // Sorts and merges; the order and overlaps of `intervals` do not matter.
  static IntervalSet from(std::vector<Interval<Value>> intervals) {
    std::sort(intervals.begin(), intervals.end(),
              [](const auto& a, const auto& b) { return a.first.value < b.first.value; });
    IntervalSet set;
    for (const auto& next : intervals) set.append(next);
    return set;
  }
  static IntervalSet all() { return from({{Value{0}, Value{kMax}}}); }

  bool empty() const { return intervals_.empty(); }
  bool is_all() const {
    return intervals_.size() == 1 && intervals_[0].first.value == 0 &&
           intervals_[0].last.value == kMax;
  }
  const std::vector<Interval<Value>>& intervals() const { return intervals_; }

  bool contains(Value value) const {
    auto after = std::upper_bound(intervals_.begin(), intervals_.end(), value,
                                  [](Value v, const auto& i) { return v.value < i.first.value; });
    return after != intervals_.begin() && value.value <= std::prev(after)->last.value;
  }

  IntervalSet operator|(const IntervalSet& other) const {
    std::vector<Interval<Value>> merged;
    merged.reserve(intervals_.size() + other.intervals_.size());
    std::merge(intervals_.begin(), intervals_.end(), other.intervals_.begin(),
               other.intervals_.end(), std::back_inserter(merged),
               [](const auto& a, const auto& b) { return a.first.value < b.first.value; });
    IntervalSet set;
    for (const auto& next : merged) set.append(next);
    return set;
  }

  IntervalSet operator~() const {
    IntervalSet set;
    Number next = 0;
    for (const auto& i : intervals_) {
      if (i.first.value > next) {
        set.intervals_.push_back({Value{next}, Value{static_cast<Number>(i.first.value - 1)}});
      }
      if (i.last.value == kMax) return set;
      next = static_cast<Number>(i.last.value + 1);
    }
    set.intervals_.push_back({Value{next}, Value{kMax}});
    return set;
  }

  IntervalSet operator&(const IntervalSet& other) const {
    IntervalSet set;
    auto a = intervals_.begin();
    auto b = other.intervals_.begin();
    while (a != intervals_.end() && b != other.intervals_.end()) {
      const Number low = std::max(a->first.value, b->first.value);
      const Number high = std::min(a->last.value, b->last.value);
      if (low <= high) set.intervals_.push_back({Value{low}, Value{high}});
      if (a->last.value < b->last.value) {
        ++a;
      } else {
        ++b;
      }
    }
    return set;
  }

  IntervalSet operator-(const IntervalSet& other) const { return *this & ~other; }

  bool operator==(const IntervalSet&) const = default;

 private:
  // REQUIRES: next.first is not before the last interval's first.
  void append(const Interval<Value>& next) {
    if (!intervals_.empty()) {
      auto& back = intervals_.back();
      if (back.last.value == kMax || next.first.value <= back.last.value + 1) {
        back.last.value = std::max(back.last.value, next.last.value);
        return;
      }
    }
    intervals_.push_back(next);
  }

  std::vector<Interval<Value>> intervals_;
};

}  // namespace rolewall::net
