// Where a host's answer hangs on what only its kernel knows (a random number, a socket, a route
// that was not said): every way that it can go, gathered into one conditional answer.
#pragma once

#include <vector>

#include "ask/answer.h"
#include "eval/eval.h"
#include "ruleset/snapshot.h"

namespace rolewall::ask {

// Makes the last of the hops conditional where the ways end in different verdicts. Where all end in
// the same, the hops stay as they are: the first way's; but one that translates `before` in several
// ways, or in one that is taken for given, lists these; null: not asked. REQUIRES: there are hops,
// of the first way.
void weigh(std::vector<Hop>& hops, const eval::Outcomes& outcomes,
           const ruleset::Snapshot& snapshot, const eval::Packet* before);

}  // namespace rolewall::ask
