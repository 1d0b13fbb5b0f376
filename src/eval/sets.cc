#include "eval/sets.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "ruleset/registers.h"

namespace rolewall::eval {
namespace {

// A set this large is not hashed where it is sorted, as all of ours are: to ask a few packets of a
// million addresses, halving needs neither the time to hash them nor the memory.
constexpr std::size_t kLarge = std::size_t{1} << 15;

// Multiply and fold, eight bytes at a time: quick, and good enough for a table that no stranger
// fills (what packets add is kept elsewhere).
std::uint64_t hash(const std::uint8_t* key, std::size_t size) {
  constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;
  std::uint64_t state = size * kMultiplier;
  while (size > 0) {
    std::uint64_t word = 0;
    const std::size_t step = std::min<std::size_t>(size, 8);
    std::memcpy(&word, key, step);
    state = (state ^ word) * kMultiplier;
    state ^= state >> 32;
    key += step;
    size -= step;
  }
  return state;
}

}  // namespace

SetIndex::SetIndex(const ruleset::Set& set)
    : elements_(&set.elements), key_size_(set.elements.key_size) {
  CHECK(elements_->count() < 1U << 31, "elements are numbered in 32 bits");
  const bool intervals = set.interval && !elements_->key_ends.empty();
  if (!intervals && elements_->count() >= kLarge && is_sorted()) {
    method_ = Method::Halving;
  } else if (!intervals) {
    build_hash();
  } else if (set.key.size() == 1) {
    build_order();
  } else {
    method_ = Method::Scan;
  }
  std::uint32_t offset = 0;
  for (const ruleset::KeyField& field : set.key) {
    fields_.push_back({offset, field.size});
    offset += static_cast<std::uint32_t>(ruleset::padded_size(field.size));
  }
}

bool SetIndex::is_sorted() const {
  const std::uint8_t* key = elements_->keys.data();
  for (std::size_t i = 1; i < elements_->count(); ++i, key += key_size_) {
    if (std::memcmp(key, key + key_size_, key_size_) >= 0) return false;
  }
  return true;
}

void SetIndex::build_hash() {
  const auto count = static_cast<std::uint32_t>(elements_->count());
  slots_.assign(std::bit_ceil(std::size_t{count} * 2 + 1), 0);
  const std::size_t mask = slots_.size() - 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::size_t slot = hash(elements_->key(i).data(), key_size_) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = i + 1;
  }
}

void SetIndex::build_order() {
  method_ = Method::Halving;
  const auto count = static_cast<std::uint32_t>(elements_->count());
  const auto less = [this](std::uint32_t a, std::uint32_t b) {
    return std::memcmp(elements_->key(a).data(), elements_->key(b).data(), key_size_) < 0;
  };
  bool sorted = true;
  for (std::uint32_t i = 1; i < count && sorted; ++i) sorted = !less(i, i - 1);
  if (!sorted) {
    order_.resize(count);
    std::iota(order_.begin(), order_.end(), 0U);
    std::sort(order_.begin(), order_.end(), less);
  }
  // The kernel refuses intervals that overlap; a file might still hold some.
  for (std::uint32_t i = 1; i < count; ++i) {
    const std::uint32_t before = order_.empty() ? i - 1 : order_[i - 1];
    const std::uint32_t here = order_.empty() ? i : order_[i];
    if (std::memcmp(elements_->key_end(before).data(), elements_->key(here).data(), key_size_) >=
        0) {
      method_ = Method::Scan;
      return;
    }
  }
}

bool SetIndex::scan_matches(std::uint32_t element, const std::uint8_t* key) const {
  const std::uint8_t* from = elements_->key(element).data();
  const std::uint8_t* to = elements_->key_end(element).data();
  return std::ranges::all_of(fields_, [&](const Field& field) {
    return std::memcmp(key + field.offset, from + field.offset, field.size) >= 0 &&
           std::memcmp(key + field.offset, to + field.offset, field.size) <= 0;
  });
}

std::uint32_t SetIndex::find(const std::uint8_t* key) const {
  const auto count = static_cast<std::uint32_t>(elements_->count());
  switch (method_) {
    case Method::Hash: {
      const std::size_t mask = slots_.size() - 1;
      for (std::size_t slot = hash(key, key_size_) & mask; slots_[slot] != 0;
           slot = (slot + 1) & mask) {
        const std::uint32_t element = slots_[slot] - 1;
        if (std::memcmp(elements_->key(element).data(), key, key_size_) == 0) return element;
      }
      return kNone;
    }
    case Method::Halving: {
      // The last interval that does not begin after the key.
      std::uint32_t low = 0;
      std::uint32_t high = count;
      while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        const std::uint32_t element = order_.empty() ? middle : order_[middle];
        if (std::memcmp(elements_->key(element).data(), key, key_size_) <= 0) {
          low = middle + 1;
        } else {
          high = middle;
        }
      }
      if (low == 0) return kNone;
      const std::uint32_t element = order_.empty() ? low - 1 : order_[low - 1];
      return std::memcmp(key, elements_->key_end(element).data(), key_size_) <= 0 ? element : kNone;
    }
    case Method::Scan:
      for (std::uint32_t i = 0; i < count; ++i) {
        if (scan_matches(i, key)) return i;
      }
      return kNone;
  }
  return kNone;
}

}  // namespace rolewall::eval
