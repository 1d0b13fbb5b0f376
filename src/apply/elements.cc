#include "apply/elements.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "ruleset/stateful.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

// A column in which every row has the value that an absent column means.
template <class T>
void drop_if_default(std::vector<T>& column) {
  if (std::ranges::all_of(column, [](const T& row) { return row == T{}; })) column.clear();
}

bool equal_at(const Elements& a, std::size_t i, const Elements& b, std::size_t j,
              std::size_t rows) {
  const auto equal_in = [&](const std::vector<std::uint8_t>& x,
                            const std::vector<std::uint8_t>& y) {
    return std::memcmp(x.data() + i * a.key_size, y.data() + j * a.key_size, rows * a.key_size) ==
           0;
  };
  return equal_in(a.keys, b.keys) && (a.key_ends.empty() || equal_in(a.key_ends, b.key_ends));
}

// Of at most `most` rows, as many as are equal: by blocks, as they are for the most part.
// `equal(done, rows)` asks about `rows` that follow `done`.
template <class Equal>
std::size_t count_equal(std::size_t most, Equal equal) {
  constexpr std::size_t kBlock = 1024;
  std::size_t done = 0;
  for (const std::size_t rows : {kBlock, std::size_t{1}}) {
    while (most - done >= rows && equal(done, rows)) done += rows;
  }
  return done;
}

}  // namespace

bool filled_at_run_time(const Set& wanted) {
  return wanted.dynamic || (wanted.has_timeout && wanted.elements.empty());
}

bool same_declaration(const Set& a, const Set& b) {
  // Every member by its place: one more does not compile before it is thought of here.
  const auto declared = [](const Set& set) {
    const auto& [name, handle, kind, key, data, object_type, anonymous, constant, interval,
                 has_timeout, dynamic, size, timeout_ms, gc_interval_ms, exprs, elements, comment,
                 saves_memory, notes, unsupported] = set;
    return std::tie(name, kind, key, data, object_type, anonymous, constant, interval, has_timeout,
                    dynamic, size, timeout_ms, gc_interval_ms, exprs, comment, saves_memory, notes,
                    unsupported);
  };
  return declared(a) == declared(b);
}

Elements normalised(const Set& set, Elements elements) {
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
  return elements;
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

Elements rows_of(const Elements& from, std::size_t first, std::size_t count) {
  Elements rows;
  rows.key_size = from.key_size;
  const auto cut = [&](const std::vector<std::uint8_t>& column) {
    if (column.empty()) return std::vector<std::uint8_t>();
    const auto begin = column.begin() + static_cast<std::ptrdiff_t>(first * from.key_size);
    return std::vector<std::uint8_t>(begin,
                                     begin + static_cast<std::ptrdiff_t>(count * from.key_size));
  };
  rows.keys = cut(from.keys);
  rows.key_ends = cut(from.key_ends);
  return rows;
}

Unlike without_equal_ends(const Elements& a, const Elements& b) {
  if (a.key_size != b.key_size || a.key_ends.empty() != b.key_ends.empty()) return {a, b};
  const std::size_t first = equal_rows(a, 0, b, 0);
  const std::size_t most = std::min(a.count(), b.count()) - first;
  const std::size_t last = count_equal(most, [&](std::size_t done, std::size_t rows) {
    return equal_at(a, a.count() - done - rows, b, b.count() - done - rows, rows);
  });
  return {rows_of(a, first, a.count() - first - last), rows_of(b, first, b.count() - first - last)};
}

std::size_t equal_rows(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const std::size_t most = std::min(a.count() - i, b.count() - j);
  return count_equal(most, [&](std::size_t done, std::size_t rows) {
    return equal_at(a, i + done, b, j + done, rows);
  });
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
