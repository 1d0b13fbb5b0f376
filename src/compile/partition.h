// From overlapping sets to a map: the numbers of one dimension (addresses, ports) cut into
// intervals within which the same rules hold, in their order. It is what a verdict map needs to
// choose, with one lookup, what a list of rules would choose one by one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "net/interval_set.h"

namespace rolewall::compile {

template <class Value>
struct Part {
  net::Interval<Value> interval;
  std::vector<std::size_t> members;  // indexes into what was partitioned, ascending; never empty
};

// std::nullopt where the parts' members add up to more than `budget`: sets that overlap without end
// would make a map that is quadratic in the rules.
template <class Value>
std::optional<std::vector<Part<Value>>> partition(
    const std::vector<const net::IntervalSet<Value>*>& sets, std::size_t budget) {
  using Number = typename Value::Number;
  struct Edge {
    Number at;
    bool enters;
    std::size_t member;
  };
  std::vector<Edge> edges;
  for (std::size_t member = 0; member < sets.size(); ++member) {
    for (const auto& interval : sets[member]->intervals()) {
      edges.push_back({interval.first.value, true, member});
      if (interval.last.value != net::IntervalSet<Value>::kMax) {
        edges.push_back({static_cast<Number>(interval.last.value + 1), false, member});
      }
    }
  }
  std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });

  std::vector<Part<Value>> parts;
  std::vector<std::size_t> active;  // ascending
  std::size_t spent = 0;
  for (std::size_t i = 0; i < edges.size();) {
    const Number from = edges[i].at;
    for (; i < edges.size() && edges[i].at == from; ++i) {
      const auto at = std::lower_bound(active.begin(), active.end(), edges[i].member);
      if (edges[i].enters) {
        active.insert(at, edges[i].member);
      } else {
        active.erase(at);
      }
    }
    if (active.empty()) continue;
    spent += active.size();
    if (spent > budget) return std::nullopt;
    const Number to =
        i < edges.size() ? static_cast<Number>(edges[i].at - 1) : net::IntervalSet<Value>::kMax;
    if (!parts.empty() && parts.back().members == active &&
        parts.back().interval.last.value + 1 == from) {
      parts.back().interval.last.value = to;
    } else {
      parts.push_back({{Value{from}, Value{to}}, active});
    }
  }
  return parts;
}

}  // namespace rolewall::compile
