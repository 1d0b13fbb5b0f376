// A table's chains, sets and objects by name, for whoever looks up all those of another table.
// Refers to the table, which must not change its names meanwhile.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

// Things by their names. One array of places, with a part of each name's hash beside: a large table
// has tens of thousands of names, and what costs is to fetch them from memory.
template <class T>
class NameIndex {
 public:
  explicit NameIndex(const std::vector<T>& things)
      : first_(things.data()), slots_(std::bit_ceil(2 * things.size() + 1)) {
    for (std::uint32_t place = 0; place < things.size(); ++place) {
      const std::size_t of_name = hash(things[place].name);
      Slot& slot = slots_[slot_of(things[place].name, of_name)];
      if (slot.next_place != 0) {
        names_are_unique_ = false;  // the first has it
        continue;
      }
      slot = {tag_of(of_name), place + 1};
    }
  }

  // Null where there is none.
  const T* find(std::string_view name) const {
    const Slot& slot = slots_[slot_of(name, hash(name))];
    return slot.next_place == 0 ? nullptr : first_ + (slot.next_place - 1);
  }
  bool names_are_unique() const { return names_are_unique_; }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint32_t next_place = 0;  // 0: free
  };
  static std::size_t hash(std::string_view name) { return std::hash<std::string_view>()(name); }
  static std::uint32_t tag_of(std::size_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

  // The name's, or the free one where it would be put: half of them at least are free.
  std::size_t slot_of(std::string_view name, std::size_t of_name) const {
    for (std::size_t at = of_name & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.next_place == 0) return at;
      if (slot.tag == tag_of(of_name) && first_[slot.next_place - 1].name == name) return at;
    }
  }

  const T* first_;
  std::vector<Slot> slots_;
  bool names_are_unique_ = true;
};

class TableIndex {
 public:
  explicit TableIndex(const Table& table)
      : table_(&table), chains_(table.chains), sets_(table.sets) {
    for (const Object& object : table.objects) {
      objects_.emplace(std::pair(object.type, std::string_view(object.name)), &object);
    }
  }

  const Table& table() const { return *table_; }

  // Null where there is none.
  const Chain* chain(std::string_view name) const { return chains_.find(name); }
  const Set* set(std::string_view name) const { return sets_.find(name); }
  const Object* object(std::uint32_t type, std::string_view name) const {
    const auto at = objects_.find(std::pair(type, name));
    return at == objects_.end() ? nullptr : at->second;
  }

  bool names_are_unique() const {
    return chains_.names_are_unique() && sets_.names_are_unique() &&
           objects_.size() == table_->objects.size();
  }

 private:
  const Table* table_;
  NameIndex<Chain> chains_;
  NameIndex<Set> sets_;
  std::map<std::pair<std::uint32_t, std::string_view>, const Object*> objects_;  // by type and name
};

}  // namespace rolewall::ruleset
