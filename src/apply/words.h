// A difference in words: what a plan would change, and what drift is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apply/difference.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

std::string table_name(const ruleset::Table& table);  // "table inet filter"

// From the live table to the wanted one.
enum class ChangeKind : std::uint8_t { Added, Removed, Changed, Moved };

std::string_view name_of(ChangeKind kind);  // "added", ...

struct ChangeItem {
  ChangeKind kind = ChangeKind::Changed;
  std::string what;   // "chain web.inbound.https", "192.0.2.3 in set net/offices/4"
  std::string rule;   // the policy rule whose doing it is; "" for what belongs to none or to many
  bool many = false;  // `what` is a plural
};

// In the order of the tables; of a set's elements one item for each kind of change.
std::vector<ChangeItem> in_words(const ruleset::Table& live, const Difference& difference);

// "chain x is missing": the same as seen from the live table.
std::string as_drift(const ChangeItem& item);

}  // namespace rolewall::apply
