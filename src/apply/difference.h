// What an apply has to change, and nothing else: the live table against the wanted one.
#pragma once

#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct Difference {
  // The table's own settings differ, or it holds what can only be made together with it: all of it
  // is made anew. `change` then says no more than what is another.
  bool whole = false;
  // As wanted, with what was counted and added at run time where that has to be made again.
  ruleset::Table table;
  ruleset::TableChange change;

  bool empty() const { return !whole && change.empty(); }
};

// The jumps to bans and openings (run_time_jumps.h) where nothing is banned or open any more.
enum class IdleJumps : std::uint8_t { Go, Stay };

// Counters and handles, the elements that packets, bans and openings add, and their remaining time
// make no difference. An element that is another is taken away and added. REQUIRES: where `live`
// has jumps to bans and openings, the elements of those were read.
Difference difference(const ruleset::Table& live, const ruleset::Table& wanted,
                      IdleJumps idle = IdleJumps::Go);

}  // namespace rolewall::apply
