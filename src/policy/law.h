// [[never]] and [[always]]: what holds for every packet of some words. Read here, proven elsewhere.
#pragma once

#include "policy/rule.h"

namespace rolewall::policy {

// The key of a law's tables: "never".
std::string_view word_of(LawKind kind);

// Of a role or block.
Law read_law(Loader& loader, const RuleSource& source, LawKind kind, const Value& table);
// Of site.toml.
Law read_site_law(Loader& loader, Keys top, LawKind kind, const Value& table);

}  // namespace rolewall::policy
