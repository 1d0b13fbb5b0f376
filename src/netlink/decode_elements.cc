#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <numeric>

#include "netlink/data_types.h"
#include "netlink/decode_expr.h"
#include "netlink/decode_ruleset.h"
#include "netlink/kernel_numbers.h"
#include "netlink/nft_data.h"
#include "ruleset/expressions.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// A column is made when the first element uses it.
template <class T>
T& at_row(std::vector<T>& column, std::size_t row) {
  if (column.size() <= row) column.resize(row + 1);
  return column[row];
}

template <class T>
void fill_up(std::vector<T>& column, std::size_t rows) {
  if (!column.empty()) column.resize(rows);
}

View decode_key(Attributes& attributes, std::uint16_t type, std::uint32_t size) {
  Attributes nest(attributes.bytes(type));
  const View key = nest.bytes(NFTA_DATA_VALUE);
  if (key.size() != size) nest.problem(fmt::format("a key of {} bytes", key.size()));
  std::string problem = nest.finish();
  if (problem.empty()) return key;
  attributes.problem(problem);
  return {};
}

void append(std::vector<std::uint8_t>& bytes, View more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

// `*`: it has no row.
void decode_catch_all(const Set& set, Attributes& attributes, Elements& elements) {
  elements.has_catch_all = true;
  if (set.kind == SetKind::VerdictMap) {
    elements.catch_all_verdict = decode_verdict(attributes, NFTA_SET_ELEM_DATA);
  } else if (set.kind == SetKind::Map) {
    const Value value = decode_value(attributes, NFTA_SET_ELEM_DATA);
    elements.catch_all_data.assign(value.begin(), value.end());
  } else if (set.kind == SetKind::ObjectMap) {
    elements.catch_all_object = attributes.text(NFTA_SET_ELEM_OBJREF);
  }
  elements.catch_all_comment =
      comment_in(attributes.bytes_or_empty(NFTA_SET_ELEM_USERDATA), NFTNL_UDATA_SET_ELEM_COMMENT);
  attributes.ignore(NFTA_SET_ELEM_PAD);
}

void decode_value_column(const Set& set, Attributes& attributes, Elements& elements,
                         std::size_t row) {
  switch (set.kind) {
    case SetKind::Set:
      break;
    case SetKind::VerdictMap:
      at_row(elements.verdicts, row) = decode_verdict(attributes, NFTA_SET_ELEM_DATA);
      break;
    case SetKind::Map: {
      const Value value = decode_value(attributes, NFTA_SET_ELEM_DATA);
      if (value.size != set.data.size) attributes.problem("its data is not of the map's size");
      append(elements.data, {value.bytes.data(), set.data.size});
      break;
    }
    case SetKind::ObjectMap:
      at_row(elements.objects, row) = attributes.text(NFTA_SET_ELEM_OBJREF);
      break;
  }
}

// An element that never ends where the others do has no end; Linux 6.12 and later also say a
// timeout of 0 (nf_tables_fill_setelem()).
void decode_times(const Set& set, Attributes& attributes, Elements& elements, std::size_t row) {
  const bool ends = attributes.has(NFTA_SET_ELEM_EXPIRATION);
  if (attributes.has(NFTA_SET_ELEM_TIMEOUT)) {
    const std::uint64_t timeout = attributes.be64(NFTA_SET_ELEM_TIMEOUT);
    at_row(elements.timeouts_ms, row) = timeout == 0 ? ruleset::kNeverEnds : timeout;
  } else if (set.timeout_ms != 0 && !ends) {
    at_row(elements.timeouts_ms, row) = ruleset::kNeverEnds;
  }
  if (ends) at_row(elements.expirations_ms, row) = attributes.be64(NFTA_SET_ELEM_EXPIRATION);
}

void decode_row(const Set& set, Attributes& attributes, Elements& elements) {
  const std::uint32_t size = set.key_size();
  const View key = decode_key(attributes, NFTA_SET_ELEM_KEY, size);
  if (key.empty()) return;
  elements.key_size = size;
  const std::size_t row = elements.count();
  append(elements.keys, key);
  if (set.interval && set.key.size() > 1) {
    View end = key;
    if (attributes.has(NFTA_SET_ELEM_KEY_END)) {
      end = decode_key(attributes, NFTA_SET_ELEM_KEY_END, size);
    }
    append(elements.key_ends, end.empty() ? key : end);
  }
  decode_value_column(set, attributes, elements, row);
  decode_times(set, attributes, elements, row);
  for (const std::uint16_t type : {NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS}) {
    if (!attributes.has(type)) continue;
    const std::string problem = decode_stateful(attributes.bytes(type), type == NFTA_SET_ELEM_EXPR,
                                                at_row(elements.exprs, row));
    if (!problem.empty()) attributes.problem(problem);
  }
  if (attributes.has(NFTA_SET_ELEM_USERDATA)) {
    Comment comment =
        comment_in(attributes.bytes(NFTA_SET_ELEM_USERDATA), NFTNL_UDATA_SET_ELEM_COMMENT);
    if (comment.exists()) at_row(elements.comments, row) = std::move(comment);
  }
  attributes.ignore(NFTA_SET_ELEM_PAD);
}

std::string decode_element(const Set& set, View bytes, PendingElements& pending) {
  Attributes attributes(bytes);
  const std::uint32_t flags = attributes.be32_or(NFTA_SET_ELEM_FLAGS, 0);
  constexpr std::uint32_t kKnownFlags = NFT_SET_ELEM_INTERVAL_END | NFT_SET_ELEM_CATCHALL;
  if ((flags & ~kKnownFlags) != 0) {
    attributes.problem(fmt::format("flags {:#x} are unknown", flags & ~kKnownFlags));
  }
  if ((flags & NFT_SET_ELEM_CATCHALL) != 0) {
    decode_catch_all(set, attributes, pending.elements);
  } else if ((flags & NFT_SET_ELEM_INTERVAL_END) != 0) {
    append(pending.ends, decode_key(attributes, NFTA_SET_ELEM_KEY, set.key_size()));
    // An end has nothing of its own; kernels differ in what they dump with it.
    for (std::uint16_t type = 0; type <= NFTA_SET_ELEM_MAX; ++type) attributes.ignore(type);
  } else {
    decode_row(set, attributes, pending.elements);
  }
  return attributes.finish();
}

// The end elements' keys in order, as offsets.
std::vector<std::size_t> sorted_ends(const std::vector<std::uint8_t>& ends, std::size_t size) {
  std::vector<std::size_t> order(ends.size() / size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t& offset : order) offset *= size;
  const auto less = [&](std::size_t a, std::size_t b) {
    return std::memcmp(ends.data() + a, ends.data() + b, size) < 0;
  };
  if (!std::is_sorted(order.begin(), order.end(), less)) {
    std::sort(order.begin(), order.end(), less);
  }
  return order;
}

// The greatest key below `key`, as the tree orders them. REQUIRES: `key` is not all zeros.
void put_predecessor(View key, std::uint8_t* to) {
  std::memcpy(to, key.data(), key.size());
  for (std::size_t i = key.size(); i-- > 0;) {
    if (to[i]-- != 0) return;
  }
}

// A start holds up to the next end or the next start, whichever is first; the last one, if nothing
// ends it, to the greatest key.
void match_intervals(Elements& elements, const std::vector<std::uint8_t>& ends) {
  const std::size_t size = elements.key_size;
  const std::vector<std::size_t> order = sorted_ends(ends, size);
  elements.key_ends.resize(elements.keys.size());
  std::size_t next_end = 0;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    const View key = elements.key(i);
    const auto after = [&](View other) { return std::memcmp(other.data(), key.data(), size) > 0; };
    const auto end_key = [&](std::size_t at) { return View{ends.data() + order[at], size}; };
    while (next_end < order.size() && !after(end_key(next_end))) ++next_end;
    View bound;
    if (next_end < order.size()) bound = end_key(next_end);
    if (i + 1 < elements.count() && after(elements.key(i + 1)) &&
        (bound.empty() || std::memcmp(elements.key(i + 1).data(), bound.data(), size) < 0)) {
      bound = elements.key(i + 1);
    }
    std::uint8_t* to = elements.key_ends.data() + i * size;
    if (bound.empty()) {
      std::memset(to, 0xff, size);
    } else {
      put_predecessor(bound, to);
    }
  }
}

// REQUIRES: sorted.
bool has_neighbours_alike(const Elements& elements) {
  for (std::size_t i = 1; i < elements.count(); ++i) {
    if (std::ranges::equal(elements.key(i - 1), elements.key(i)) &&
        std::ranges::equal(elements.key_end(i - 1), elements.key_end(i))) {
      return true;
    }
  }
  return false;
}

}  // namespace

void decode_elements(const Set& set, View list, PendingElements& pending) {
  const bool whole = for_each_attribute(list, [&](std::uint16_t, View payload) {
    std::string problem = decode_element(set, payload, pending);
    if (pending.problem.empty() && !problem.empty()) {
      pending.problem = fmt::format("element: {}", problem);
    }
  });
  if (!whole) pending.problem = "its elements are cut short";
}

bool finish_elements(Set& set, PendingElements pending) {
  Elements& elements = pending.elements;
  const std::size_t rows = elements.count();
  elements.key_size = set.key_size();
  elements.data_size = set.kind == SetKind::Map ? set.data.size : 0;
  if (set.unsupported.empty()) set.unsupported = pending.problem;
  // Columns of different lengths must not reach anybody.
  if (!set.unsupported.empty() && elements.data.size() != rows * elements.data_size) {
    elements.data.resize(rows * elements.data_size);
  }
  if (set.kind == SetKind::VerdictMap) elements.verdicts.resize(rows);
  if (set.kind == SetKind::ObjectMap) elements.objects.resize(rows);
  fill_up(elements.timeouts_ms, rows);
  fill_up(elements.expirations_ms, rows);
  fill_up(elements.exprs, rows);
  fill_up(elements.comments, rows);
  // Where ranges of a concatenation overlap, the kernel takes the first (nft_set_pipapo.c), and it
  // dumps them in its order.
  Elements sorted;
  const bool ordered = set.interval && set.key.size() > 1;
  if (ordered) {
    sorted.key_size = elements.key_size;
    sorted.keys = elements.keys;
    sorted.key_ends = elements.key_ends;
    sorted.sort();
  } else {
    elements.sort();
  }
  const bool consistent = !has_neighbours_alike(ordered ? sorted : elements);
  if (set.interval && set.key.size() == 1 && elements.key_size != 0) {
    match_intervals(elements, pending.ends);
  }
  set.elements = std::move(elements);
  return consistent;
}

}  // namespace rolewall::netlink
