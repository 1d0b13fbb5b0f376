// The kernel's rulesets as the evaluator is asked about them: ours as it is and as it will be, each
// beside every other program's tables. Their sets may hold millions of elements, which the kernel
// takes seconds and minutes to list. Of a large one nothing is listed: what packets look up in it
// is asked of the kernel by its key, and whoever asks the evaluator asks again with what that has
// found, until nothing new is looked up.
#pragma once

#include <optional>
#include <vector>

#include "apply/guard.h"
#include "apply/kernel.h"
#include "base/error.h"
#include "eval/partial_sets.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// What our table is to be compared with.
struct Today {
  // Absent: what the kernel holds. Else what was confirmed, while something else waits; in it
  // nothing: no table of ours.
  std::optional<std::optional<ruleset::Table>> confirmed{};
};

// Its first table is ours.
struct InPart {
  ruleset::Ruleset ruleset{};
  std::vector<std::vector<netlink::UnreadSet>> unread{};  // of each of its tables
  eval::PartialSets partial{};

  void add(ruleset::Table table, std::vector<netlink::UnreadSet> sets);
  // Once all tables are in their places.
  void note_partial();
  AskedRuleset asked() { return {.ruleset = ruleset, .partial = partial}; }
};

// `wanted` nothing: no table of ours. Bans and openings are those that the kernel holds, where its
// own hold none.
Result<void> read_rulesets(Kernel& kernel, const std::optional<ruleset::Table>& wanted,
                           const Today& today, InPart& before, InPart& after);

// False where nothing was asked for.
Result<bool> read_what_was_asked(Kernel& kernel, InPart& from);

}  // namespace rolewall::apply
