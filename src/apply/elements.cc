#include "apply/elements.h"

#include <algorithm>
#include <cstring>

namespace rolewall::apply {
namespace {

using namespace ruleset;

// A column in which every row has the value that an absent column means.
template <class T>
void drop_if_default(std::vector<T>& column) {
  if (std::ranges::all_of(column, [](const T& row) { return row == T{}; })) column.clear();
}

}  // namespace

bool filled_at_run_time(const Set& wanted) {
  return wanted.dynamic || (wanted.has_timeout && wanted.elements.empty());
}

bool same_declaration(Set a, Set b) {
  a.elements = b.elements = {};
  a.handle = b.handle = 0;
  return a == b;
}

Set normalised(Set set) {
  Elements& elements = set.elements;
  elements.key_size = set.key_size();
  elements.data_size = set.kind == SetKind::Map ? set.data.size : 0;
  elements.expirations_ms.clear();
  if (set.interval && elements.key_ends.empty()) elements.key_ends = elements.keys;
  if (!set.interval) elements.key_ends.clear();
  // The kernel gives every new element the set's expressions, and names only other timeouts.
  for (auto& exprs : elements.exprs) {
    for (StatefulExpr& expr : exprs) expr = configuration(expr);
    if (exprs == set.exprs) exprs.clear();
  }
  for (std::uint64_t& timeout : elements.timeouts_ms) {
    if (timeout == set.timeout_ms) timeout = 0;
  }
  drop_if_default(elements.exprs);
  drop_if_default(elements.timeouts_ms);
  drop_if_default(elements.comments);
  elements.sort();
  return set;
}

bool is_keys_alone(const Elements& elements) {
  return !elements.has_catch_all && elements.data.empty() && elements.verdicts.empty() &&
         elements.objects.empty() && elements.timeouts_ms.empty() &&
         elements.expirations_ms.empty() && elements.exprs.empty() && elements.comments.empty();
}

bool is_large(const Set& set) {
  return set.kind == SetKind::Set && !set.anonymous && !set.has_timeout && !set.dynamic &&
         set.elements.count() >= kLargeSet && is_keys_alone(set.elements);
}

std::size_t equal_rows(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const std::size_t rows = std::min(a.count() - i, b.count() - j);
  const auto equal_in = [&](const std::vector<std::uint8_t>& x,
                            const std::vector<std::uint8_t>& y) {
    const std::span<const std::uint8_t> left{x.data() + i * a.key_size, rows * a.key_size};
    const std::span<const std::uint8_t> right{y.data() + j * a.key_size, rows * a.key_size};
    // By blocks: they are equal for the most part.
    constexpr std::size_t kBlock = 4096;
    std::size_t same = 0;
    while (same + kBlock <= left.size() &&
           std::memcmp(left.data() + same, right.data() + same, kBlock) == 0) {
      same += kBlock;
    }
    while (same < left.size() && left[same] == right[same]) ++same;
    return same / a.key_size;
  };
  const std::size_t same = equal_in(a.keys, b.keys);
  return a.key_ends.empty() ? same : std::min(same, equal_in(a.key_ends, b.key_ends));
}

bool same_row(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const auto same = [&](const auto& x, const auto& y) {
    if (x.empty() && y.empty()) return true;
    using Row = typename std::decay_t<decltype(x)>::value_type;
    return (x.empty() ? Row{} : x[i]) == (y.empty() ? Row{} : y[j]);
  };
  return std::ranges::equal(a.value(i), b.value(j)) && same(a.verdicts, b.verdicts) &&
         same(a.objects, b.objects) && same(a.timeouts_ms, b.timeouts_ms) &&
         same(a.exprs, b.exprs) && same(a.comments, b.comments);
}

bool same_catch_all(const Elements& a, const Elements& b) {
  return a.has_catch_all == b.has_catch_all && a.catch_all_verdict == b.catch_all_verdict &&
         a.catch_all_data == b.catch_all_data && a.catch_all_object == b.catch_all_object &&
         a.catch_all_comment == b.catch_all_comment;
}

int compare_keys(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const int order = std::memcmp(a.key(i).data(), b.key(j).data(), a.key_size);
  if (order != 0) return order;
  return std::memcmp(a.key_end(i).data(), b.key_end(j).data(), a.key_size);
}

}  // namespace rolewall::apply
