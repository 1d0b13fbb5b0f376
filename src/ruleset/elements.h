// The elements of one set as flat arrays: a million addresses are a few blocks of memory, not a
// million objects. A column that no element uses is empty; otherwise it has one entry an element.
//
// An interval is one element here, [key, key_end] inclusive at both ends, whichever way the kernel
// stores it (rbtree: a start and an end element with the end excluded; pipapo: KEY and KEY_END).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ruleset/comment.h"
#include "ruleset/stateful.h"
#include "ruleset/value.h"

namespace rolewall::ruleset {

// An element's timeout, `never`, in a set whose others end.
inline constexpr std::uint64_t kNeverEnds = ~std::uint64_t{0};

struct Elements {
  std::uint32_t key_size = 0;  // the set's key_size(); data_size likewise, 0 for no data
  std::uint32_t data_size = 0;

  std::vector<std::uint8_t> keys;
  std::vector<std::uint8_t> key_ends;  // interval sets: equal to the key for a single value
  std::vector<std::uint8_t> data;
  std::vector<Verdict> verdicts;                 // verdict maps
  std::vector<std::string> objects;              // object maps
  std::vector<std::uint64_t> timeouts_ms;        // 0: the set's own; kNeverEnds
  std::vector<std::uint64_t> expirations_ms;     // what remains, as dumped; 0: not known
  std::vector<std::vector<StatefulExpr>> exprs;  // what the element holds
  std::vector<Comment> comments;

  // The catch-all element `*`, which decides where no other matches.
  bool has_catch_all = false;
  Verdict catch_all_verdict;
  Bytes catch_all_data;
  std::string catch_all_object;
  Comment catch_all_comment;

  std::size_t count() const { return key_size == 0 ? 0 : keys.size() / key_size; }
  bool empty() const { return count() == 0 && !has_catch_all; }
  std::span<const std::uint8_t> key(std::size_t i) const {
    return {keys.data() + i * key_size, key_size};
  }
  // The key itself where the set holds no intervals.
  std::span<const std::uint8_t> key_end(std::size_t i) const {
    return key_ends.empty()
               ? key(i)
               : std::span<const std::uint8_t>{key_ends.data() + i * key_size, key_size};
  }
  std::span<const std::uint8_t> value(std::size_t i) const {
    return {data.data() + i * data_size, data_size};
  }

  // REQUIRES: elements of the same set, or of one that is made alike.
  void append(const Elements& from, std::size_t row);
  void take_catch_all(const Elements& from);

  // By key and key_end, every column along. The compiler and the decoder both sort, so that equal
  // sets compare equal. Ranges of a concatenation alone may stand otherwise: where they overlap,
  // the kernel takes the first (nft_set_pipapo.c), and the decoder keeps its order.
  void sort();

  bool operator==(const Elements&) const = default;
};

}  // namespace rolewall::ruleset
