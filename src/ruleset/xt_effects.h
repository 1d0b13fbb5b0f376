// What a match or target of iptables does, as effects.h says it of every expression: a part of
// effects.cc and seen_elsewhere.cc. Inside ruleset/ alone.
//
// That a match drops a packet whose header is cut off ("hotdrop") is not counted as its ending:
// nobody means it, and such a packet is none that anybody answers.
#pragma once

#include "ruleset/effects.h"
#include "ruleset/xt.h"

namespace rolewall::ruleset {

// `table`: the family of the table that it is in.
Effects effects_by(const XtMatch& match, Family table);
Effects effects_by(const XtTarget& target, Family table);

// Whether other tables' chains see it; what is not known, they do.
bool is_seen_elsewhere(const XtMatch& match);
bool is_seen_elsewhere(const XtTarget& target);

}  // namespace rolewall::ruleset
