// A transaction under construction: messages between BATCH_BEGIN and BATCH_END in one buffer, and
// for each what it is about, so that a refusal can be traced to a rule and an expression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "netlink/attributes.h"
#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// Indexes into the table that the batch is made from.
struct Subject {
  enum class Kind : std::uint8_t { Batch, Table, Object, Set, Chain, Elements, Rule, Removal };
  Kind kind = Kind::Batch;
  std::size_t index = 0;  // of the object, set or chain
  std::size_t rule = 0;   // Rule alone: within its chain
};

class Batch {
 public:
  // Nothing is done where the kernel's generation is not `expected_generation`.
  explicit Batch(std::optional<std::uint32_t> expected_generation);

  // Room for so many bytes more, so that a large transaction is not moved while it grows.
  void reserve(std::size_t bytes) { bytes_.reserve(bytes_.size() + bytes); }
  void add(const Subject& subject, View message);
  // The same with what was encoded, or its error.
  Result<void> add_encoded(const Subject& subject,
                           const Result<std::vector<std::uint8_t>>& message);
  // No message can be added after it.
  void finish();

  // REQUIRES: finish().
  void number_from(std::uint32_t first_sequence);
  View bytes() const { return bytes_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(messages_.size()); }

  const Subject& subject(std::uint32_t sequence) const { return messages_[sequence].subject; }
  View message(std::uint32_t sequence) const;

 private:
  struct Entry {
    Subject subject;
    std::size_t begin = 0;
  };
  std::vector<std::uint8_t> bytes_;
  std::vector<Entry> messages_;
};

// The whole of `table`, in place of what has its name.
Result<Batch> replace_batch(const ruleset::Table& table,
                            std::optional<std::uint32_t> expected_generation);

// No more than `change`, which makes `wanted` of what is there.
Result<Batch> change_batch(const ruleset::Table& wanted, const ruleset::TableChange& change,
                           std::optional<std::uint32_t> expected_generation);

Batch delete_batch(ruleset::Family family, std::string_view name,
                   std::optional<std::uint32_t> expected_generation);

}  // namespace rolewall::netlink
