// Finding a key in a set's elements, which stay where they are: the index beside them is one flat
// array. Exact keys are hashed, intervals and many sorted keys searched by halving; ranges of a
// concatenation are looked at one after the other, as no such set grows large.
#pragma once

#include <cstdint>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::eval {

class SetIndex {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  // Refers to the set's elements, which must not move. REQUIRES: fewer than 2^31 elements.
  explicit SetIndex(const ruleset::Set& set);

  // The element that `key` (key_size bytes, as registers hold them) is or falls into.
  std::uint32_t find(const std::uint8_t* key) const;

 private:
  enum class Method : std::uint8_t { Hash, Halving, Scan };

  bool is_sorted() const;
  void build_hash();
  void build_order();
  bool scan_matches(std::uint32_t element, const std::uint8_t* key) const;

  const ruleset::Elements* elements_;
  std::uint32_t key_size_;
  Method method_ = Method::Hash;
  std::vector<std::uint32_t> slots_;  // Hash: open addressing, an element + 1 each
  std::vector<std::uint32_t> order_;  // Halving: elements by key; empty where they are sorted
  struct Field {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  std::vector<Field> fields_;  // Scan
};

}  // namespace rolewall::eval
