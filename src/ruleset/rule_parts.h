// What is asked of a rule most often, for whoever need not know all that may stand in one (expr.h).
#pragma once

#include "ruleset/expressions.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

// What the rule ends with, if that is a verdict of its own, as nft's `accept` and `jump` are.
const Verdict* final_verdict(const Rule& rule);

// How it refuses a packet with an answer.
const Reject* reject_of(const Rule& rule);

// What counts all that the rule is asked about: the counter that stands first.
const Counter* leading_counter(const Rule& rule);

}  // namespace rolewall::ruleset
