#include "apply/normalise.h"

#include <algorithm>

#include "apply/compare.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

// A column in which every row has the value that an absent column means.
template <class T>
void drop_if_default(std::vector<T>& column) {
  if (std::all_of(column.begin(), column.end(), [](const T& row) { return row == T{}; })) {
    column.clear();
  }
}

void normalise(Set& set) {
  Elements& elements = set.elements;
  elements.key_size = set.key_size();
  elements.data_size = set.kind == SetKind::Map ? set.data.size : 0;
  if (set.interval && elements.key_ends.empty()) elements.key_ends = elements.keys;
  if (!set.interval) elements.key_ends.clear();
  // The kernel gives every new element the set's expressions, and names only other timeouts.
  for (auto& exprs : elements.exprs) {
    if (exprs == set.exprs) exprs.clear();
  }
  for (std::uint64_t& timeout : elements.timeouts_ms) {
    if (timeout == set.timeout_ms) timeout = 0;
  }
  drop_if_default(elements.exprs);
  drop_if_default(elements.timeouts_ms);
  drop_if_default(elements.comments);
  elements.sort();
}

}  // namespace

bool filled_at_run_time(const Set& wanted) {
  return wanted.dynamic || (wanted.has_timeout && wanted.elements.empty());
}

Table normalised(const Table& table, const Table& wanted) {
  Ruleset ruleset = configuration({{table}});
  Table result = std::move(ruleset.tables.front());
  for (Set& set : result.sets) {
    const Set* compiled = find_set(wanted, set.name);
    if (compiled != nullptr && filled_at_run_time(*compiled)) set.elements = {};
    normalise(set);
  }
  return result;
}

}  // namespace rolewall::apply
