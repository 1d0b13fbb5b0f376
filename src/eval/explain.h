// Why a rule did not match, in words: "tcp dport is 3306, not 22". Written from what the rule's
// expressions loaded before the one that broke, and from the registers as they then stood. For
// people alone: nothing is decided here.
#pragma once

#include <string>

#include "eval/frame.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

// REQUIRES: rule.exprs[expression] broke with these registers, which is known to be well formed.
std::string why_it_broke(const ruleset::Table& table, const ruleset::Rule& rule,
                         std::size_t expression, ByteSpan registers, const Frame& frame);

}  // namespace rolewall::eval
