// A table's chains and sets by name, for whoever looks up all those of another table. Refers to the
// table, which must not change meanwhile.
#pragma once

#include <string_view>
#include <unordered_map>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

class TableIndex {
 public:
  explicit TableIndex(const Table& table) {
    for (const Chain& chain : table.chains) chains_.emplace(chain.name, &chain);
    for (const Set& set : table.sets) sets_.emplace(set.name, &set);
  }

  // Null where there is none.
  const Chain* chain(std::string_view name) const { return find(chains_, name); }
  const Set* set(std::string_view name) const { return find(sets_, name); }

 private:
  template <class T>
  static const T* find(const std::unordered_map<std::string_view, const T*>& among,
                       std::string_view name) {
    const auto at = among.find(name);
    return at == among.end() ? nullptr : at->second;
  }

  std::unordered_map<std::string_view, const Chain*> chains_;
  std::unordered_map<std::string_view, const Set*> sets_;
};

}  // namespace rolewall::ruleset
