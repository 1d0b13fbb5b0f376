// A table's chains, sets and objects by name, for whoever looks up all those of another table.
// Refers to the table, which must not change its names meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

class TableIndex {
 public:
  explicit TableIndex(const Table& table) : table_(&table) {
    for (const Chain& chain : table.chains) chains_.emplace(chain.name, &chain);
    for (const Set& set : table.sets) sets_.emplace(set.name, &set);
    for (const Object& object : table.objects) {
      objects_.emplace(std::pair(object.type, std::string_view(object.name)), &object);
    }
  }

  const Table& table() const { return *table_; }

  // Null where there is none.
  const Chain* chain(std::string_view name) const { return find(chains_, name); }
  const Set* set(std::string_view name) const { return find(sets_, name); }
  const Object* object(std::uint32_t type, std::string_view name) const {
    return find(objects_, std::pair(type, name));
  }

  bool names_are_unique() const {
    return chains_.size() == table_->chains.size() && sets_.size() == table_->sets.size() &&
           objects_.size() == table_->objects.size();
  }

 private:
  template <class Map, class Key>
  static typename Map::mapped_type find(const Map& among, const Key& name) {
    const auto at = among.find(name);
    return at == among.end() ? nullptr : at->second;
  }

  const Table* table_;
  std::unordered_map<std::string_view, const Chain*> chains_;
  std::unordered_map<std::string_view, const Set*> sets_;
  std::map<std::pair<std::uint32_t, std::string_view>, const Object*> objects_;  // by type and name
};

}  // namespace rolewall::ruleset
