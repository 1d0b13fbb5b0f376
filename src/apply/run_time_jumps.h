// The jumps from the base chains to bans and openings (compile/base_chains.h). Four lookups cost a
// new packet some 200 ns, and on most hosts nobody is banned: a table has these jumps from its
// first ban on, those to openings from its first opening on, and loses them with an apply that
// finds none left.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// What of the two is meant.
struct RunTimeSteps {
  bool bans = false;
  bool openings = false;

  bool any() const { return bans || openings; }
  RunTimeSteps operator|(RunTimeSteps other) const {
    return {bans || other.bans, openings || other.openings};
  }
};

// Of which the table's sets hold something. REQUIRES: their elements were read.
RunTimeSteps held_by(const ruleset::Table& table);
// To which at least one of the table's jumps leads.
RunTimeSteps led_to_by(const ruleset::Table& table);

// Whether an older version of this program made the table, without the chains that these jumps
// lead to.
bool lacks_chains_of(const ruleset::Table& table, RunTimeSteps steps);

// Why what is added to these steps' sets would do nothing, since another program has changed the
// table: "its chain banned-input is empty". "" where packets get there.
std::string why_without_effect(const ruleset::Table& table, RunTimeSteps steps);

enum class Adds : std::uint8_t { WhatIsMissing, Each };

// Adds the jumps to these steps, each at its step's place; returns what a change of the table says
// of them.
std::vector<ruleset::TableChange::RuleAddition> add_run_time_jumps(ruleset::Table& table,
                                                                   RunTimeSteps steps,
                                                                   Adds adds = Adds::WhatIsMissing);

}  // namespace rolewall::apply
