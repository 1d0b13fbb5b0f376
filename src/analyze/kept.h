// What rules leave with a packet's connection: its mark, its labels, and whether conntrack keeps it
// and in which zone. It outlives the packet, and rules may ask later packets for it. So it is part
// of a packet's fate where a rule of either ruleset asks for it; of what no rule asks for, no
// packet's way hangs on.
//
// Its helper, its timeouts and what is expected of it are told of the packet that gives them
// (Environment::headers).
#pragma once

#include "ruleset/ruleset.h"

namespace rolewall::analyze {

struct KeptAsked {
  bool connections = false;  // anything that conntrack knows, or does: a state, a translation
  bool marks = false;
  bool labels = false;
};
KeptAsked kept_asked(const ruleset::Ruleset& before, const ruleset::Ruleset& after);

// Whether it writes any of this.
bool writes_kept(const ruleset::Expr& expr);

}  // namespace rolewall::analyze
