// What is asked of a rule most often, for whoever need not know all that may stand in one (expr.h).
#pragma once

#include "ruleset/expressions.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

// What the rule ends with, if that is a verdict of its own, as nft's `accept` and `jump` are.
const Verdict* final_verdict(const Rule& rule);

// How it refuses a packet with an answer.
const Reject* reject_of(const Rule& rule);

// Whether it answers with a rejection: nft's, or iptables' target.
bool rejects(const Rule& rule);
// The same, with a TCP reset. `table`: the family of its table.
bool sends_reset(const Rule& rule, Family table);

// Of our table's chains (own_table.h): whether the rule is for what is over a limit of the policy's
// rule that it belongs to.
bool is_excess(const Chain& chain, std::size_t rule);

// What counts all that the rule is asked about: the counter that stands first.
const Counter* leading_counter(const Rule& rule);

}  // namespace rolewall::ruleset
