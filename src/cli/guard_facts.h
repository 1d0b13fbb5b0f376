// What the guard must know of the machine and of who administers it, and how its answer is told.
#pragma once

#include <string>
#include <vector>

#include "apply/apply.h"
#include "apply/ask_guard.h"
#include "apply/guard.h"
#include "base/error.h"
#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

Result<apply::GuardFacts> guard_facts(const policy::Policy& policy);

// That the ruleset is another machine's (observe/other_machine.h), and the devices that it names
// and the machine has not (observe/absent_devices.h).
void warn_of_machine(const ruleset::Snapshot& snapshot, const ruleset::Host& machine);

// What the guard could not see, or whom it took for the administrator.
void say_remarks(const apply::GuardFacts& facts);

// Before a first apply on a host that forwards: what is open through it, and not tracked yet,
// stalls.
void say_untracked(const apply::Plan& plan, const apply::GuardFacts& facts);

// One line each: what is lost, at the policy line that decides; and what is only to be known.
void render_guard(const std::vector<apply::Loss>& losses, const char* word,
                  const ruleset::SourceMap& sources);
void render_notes(const std::vector<apply::Loss>& notes, const ruleset::SourceMap& sources);

// All that the guard said of a change that is made by hand, as far as it went.
void render_guard_call(const apply::GuardCall& guard, const char* word_if_forced = "overridden");
// Whether it refused: then the change was not made.
bool is_refused(const apply::GuardCall& guard);

}  // namespace rolewall::cli
