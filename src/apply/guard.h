// Who would be shut out: the ruleset as it will be is asked by the evaluator, before it is put in
// force, about all that a session of ssh lives on (lifelines.h). Two questions:
//
// (1) Our own table alone, every other program's rule taken to let pass, must admit it. It is not
//     compared with today.
// (2) With all tables: under each assignment of what is not known (whether a rule that is not
//     modelled matches, a draw, a clock) under which it passes today it must pass afterwards. The
//     other tables are the same on both sides and their answers, too, so that only where one
//     program's chains change what another's see there is anything to compare.
//
// What fails (2) alone, and today as well, is a note that names the program.
#pragma once

#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "eval/partial_sets.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct Loss {
  std::string what;  // "ssh from 192.0.2.7 (management) to 10.0.2.10:22"
  std::string how;   // "input drops it: rule (default) of table inet rolewall, chain input"
  std::string rule;  // the policy rule's id, to find its line; "" where it is none's
};

struct GuardAnswer {
  std::vector<Loss> losses;
  std::vector<Loss> notes;  // what stands in the way today as well, or cannot be known
};

// Our table first (one without chains where there is none), then every other program's in the same
// order on both sides.
struct AskedRuleset {
  const ruleset::Ruleset& ruleset;
  eval::PartialSets& partial;
};

// It stands once nothing more is asked of the partial sets.
GuardAnswer ask_about(const AskedRuleset& before, const AskedRuleset& after,
                      const GuardFacts& facts);

}  // namespace rolewall::apply
