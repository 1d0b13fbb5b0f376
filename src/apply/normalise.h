// A table in the one form in which equal tables are equal, whether compiled or read back.
#pragma once

#include "ruleset/ruleset.h"

namespace rolewall::apply {

// `wanted` says which sets are filled at run time: their elements are left out.
ruleset::Table normalised(const ruleset::Table& table, const ruleset::Table& wanted);

}  // namespace rolewall::apply
