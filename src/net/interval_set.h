// A set of numbers-like values as sorted, disjoint, non-adjacent inclusive intervals: the exact
// algebra under every address and port condition. A flat array, so a million entries are one block
// of memory, which the copies of a set share; union, difference and intersection are one linear
// pass over both.
//
// Value: a struct with `value` (an unsigned number) and `Number`, as net::Ipv4.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
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

  using Intervals = std::vector<Interval<Value>>;

  IntervalSet() = default;

  // Sorts and merges; the order and overlaps of `intervals` do not matter. What is in order costs
  // one pass.
  static IntervalSet from(Intervals intervals) {
    if (!std::is_sorted(intervals.begin(), intervals.end(), begins_before)) {
      std::sort(intervals.begin(), intervals.end(), begins_before);
    }
    return merged(std::move(intervals));
  }
  static IntervalSet all() { return from({{Value{0}, Value{kMax}}}); }

  bool empty() const { return intervals().empty(); }
  bool is_all() const {
    return intervals().size() == 1 && intervals()[0].first.value == 0 &&
           intervals()[0].last.value == kMax;
  }
  const Intervals& intervals() const {
    static const Intervals kNone;
    return intervals_ ? *intervals_ : kNone;
  }

  bool contains(Value value) const {
    auto after = std::upper_bound(intervals().begin(), intervals().end(), value,
                                  [](Value v, const auto& i) { return v.value < i.first.value; });
    return after != intervals().begin() && value.value <= std::prev(after)->last.value;
  }

  IntervalSet operator|(const IntervalSet& other) const {
    if (empty()) return other;
    if (other.empty()) return *this;
    Intervals both;
    both.reserve(intervals().size() + other.intervals().size());
    std::merge(intervals().begin(), intervals().end(), other.intervals().begin(),
               other.intervals().end(), std::back_inserter(both), begins_before);
    return merged(std::move(both));
  }

  IntervalSet operator~() const {
    Intervals gaps;
    Number next = 0;
    for (const auto& i : intervals()) {
      if (i.first.value > next) {
        gaps.push_back({Value{next}, Value{static_cast<Number>(i.first.value - 1)}});
      }
      if (i.last.value == kMax) return IntervalSet(std::move(gaps));
      next = static_cast<Number>(i.last.value + 1);
    }
    gaps.push_back({Value{next}, Value{kMax}});
    return IntervalSet(std::move(gaps));
  }

  IntervalSet operator&(const IntervalSet& other) const {
    Intervals common;
    auto a = intervals().begin();
    auto b = other.intervals().begin();
    while (a != intervals().end() && b != other.intervals().end()) {
      const Number low = std::max(a->first.value, b->first.value);
      const Number high = std::min(a->last.value, b->last.value);
      if (low <= high) common.push_back({Value{low}, Value{high}});
      if (a->last.value < b->last.value) {
        ++a;
      } else {
        ++b;
      }
    }
    return IntervalSet(std::move(common));
  }

  IntervalSet operator-(const IntervalSet& other) const { return *this & ~other; }

  bool operator==(const IntervalSet& other) const {
    return intervals_ == other.intervals_ || intervals() == other.intervals();
  }

 private:
  // REQUIRES: sorted, disjoint, none beside another.
  explicit IntervalSet(Intervals intervals)
      : intervals_(std::make_shared<const Intervals>(std::move(intervals))) {}

  static bool begins_before(const Interval<Value>& a, const Interval<Value>& b) {
    return a.first.value < b.first.value;
  }

  // REQUIRES: sorted by where they begin.
  static IntervalSet merged(Intervals intervals) {
    auto end = intervals.begin();
    for (const auto& next : intervals) {
      if (end != intervals.begin() && touches(*std::prev(end), next)) {
        auto& last = std::prev(end)->last.value;
        last = std::max(last, next.last.value);
      } else {
        *end++ = next;
      }
    }
    intervals.erase(end, intervals.end());
    return IntervalSet(std::move(intervals));
  }

  // Whether nothing lies between them. REQUIRES: `next` does not begin before `interval`.
  static bool touches(const Interval<Value>& interval, const Interval<Value>& next) {
    return interval.last.value == kMax || next.first.value <= interval.last.value + 1;
  }

  std::shared_ptr<const Intervals> intervals_;  // none: the empty set
};

}  // namespace rolewall::net
