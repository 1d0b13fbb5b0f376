// The guard (guard.h) on the running host: the new table together with every other program's, as
// the kernel holds them, beside what is in force today (rulesets_in_part.h).
#pragma once

#include <optional>
#include <string>

#include "apply/guard.h"
#include "apply/kernel.h"
#include "apply/rulesets_in_part.h"
#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// `wanted` null: no table of ours. Bans and openings are those that the kernel holds, where its own
// hold none.
Result<GuardAnswer> ask_guard(Kernel& kernel, const ruleset::Table* wanted, const GuardFacts& facts,
                              const Today& today = {});

// What is lost with one element of a set that is filled by hand, and would not be lost today.
Result<GuardAnswer> ask_about_removal(Kernel& kernel, const std::string& set,
                                      const ruleset::Bytes& key, const GuardFacts& facts);

// Gives sessions that are open here their conntrack entries; where one cannot be given any, the
// guard asks what becomes of it without. An entry of what is not open would open this host to
// whoever sends from there. Before a change: whoever only looks writes nothing.
void track_sessions(Kernel& kernel, GuardFacts& facts);

// A change that somebody makes by hand: what the guard is to know, whether it goes on in spite of
// it, and what the guard said.
struct GuardCall {
  GuardFacts facts;
  bool force = false;
  GuardAnswer answer{};
};

// An error of kind Refused where something would be lost and nobody forces it; it is in
// `call.answer`. Null: nobody asks.
Result<void> ask_before(Kernel& kernel, const ruleset::Table* wanted, GuardCall* call);
Result<void> settle(const Result<GuardAnswer>& answer, GuardCall& call);

}  // namespace rolewall::apply
