// [[test]]: what a packet's fate shall be. Read here, asked elsewhere.
#pragma once

#include "policy/rule.h"

namespace rolewall::policy {

// Of a role or block.
Test read_test(Loader& loader, const RuleSource& source, const Value& table);
// Of site.toml.
Test read_site_test(Loader& loader, Keys top, const Value& table);

// After every rule was read: `by` names a rule or a built-in step, which hosts of the file have.
void check_by(Loader& loader, const RuleFile* file, const Value& table);

}  // namespace rolewall::policy
