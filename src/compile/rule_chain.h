// A policy rule's own chain: its counter, then what its limits deny, its log, its verdict.
// Everything that matches the rule jumps here.
//
//   nothing to limit or log:     counter verdict
//   accept, within limits:       counter | over the limit: deny | over the connections: deny |
//                                ct helper set | log | accept
//   drop or reject, unlimited:   counter | log | drop
//   drop or reject, limited:     counter | over the limit: deny      (what is within goes on)
//
// A changed log, limit or verdict keeps the count (apply/carry_over.h).
//
// Per-source state lives in sets of kMaxSources entries (per_source.h); a source that finds its set
// full is not limited (nft_dynset breaks, the deny rule does not match): the policy admits it, and
// an attacker with many addresses must not be able to lock others out.
#pragma once

#include "compile/lower.h"
#include "compile/table_builder.h"
#include "policy/policy.h"

namespace rolewall::compile {

void add_rule_chain(TableBuilder& table, const LoweredRule& rule, const policy::Defaults& defaults);

}  // namespace rolewall::compile
