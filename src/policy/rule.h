// One rule of a role or block.
#pragma once

#include "policy/loader.h"

namespace rolewall::policy {

// The file that rules or tests are read from.
struct RuleSource {
  Index file = 0;               // into Policy::files
  Keys top;                     // its top-level keys
  std::optional<Span> used_at;  // a shipped block: where the site brings it in
};

// "inbound": as keys and full names have it.
std::string_view word_of(Direction direction);

// REQUIRES: hosts, networks and services are resolved.
Rule read_rule(Loader& loader, const RuleSource& source, Direction direction, const Value& table);

// `on`, of a rule or test: hosts of the file, by name, role or tag.
std::optional<Selectors> read_on(Loader& loader, const RuleSource& source, const Section& section);

}  // namespace rolewall::policy
