// What a verb leaves behind that was killed between two of its steps, and how the next one that
// changes something clears it away.
//
// A generation and pending.json are written before the commit (restore.h). Whoever dies before it
// leaves what says that something waits which never was in force. Only the kernel tells: where it
// holds what the record has as in force, nothing came of the other. Where it holds anything else,
// it may have, and waits on, so that it is rolled back.
#pragma once

#include <optional>
#include <string>

#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/world.h"

namespace rolewall::apply {

// Whether the table is that generation's, or there is neither. `live` null: there is none; with its
// elements.
bool is_table_of(const ruleset::Table* live, const std::string& directory,
                 std::optional<std::uint32_t> generation);

// What waits, since nothing came of `armed`: what it would have taken the place of, for as long as
// it would have waited; std::nullopt: nothing. An error of kind Refused where something came of it,
// or that cannot be told.
Result<std::optional<Pending>> waits_in_place_of(const std::string& directory, const Pending& armed,
                                                 const ruleset::Table* live, const World& world);
// The same, of what the kernel holds now. A full disk keeps pending.json as it was: whoever goes by
// it asks this first.
Result<std::optional<Pending>> waits_in_place_of(const std::string& directory, const Pending& armed,
                                                 Kernel& kernel, const World& world);

// Every verb that changes something begins with it: pending.json of what never was in force goes,
// and what was, and is not written down, is (missing_events.h). What cannot be done is left for the
// next.
void clear_interrupted(StateDirectory& state, Kernel& kernel, const World& world);

// The same for a verb that reads what is in force before it changes it: `refresh`.
Result<void> clear_interrupted(const std::string& state_directory, const World& world);

// Files half written, and folders of generations. REQUIRES: the directory's lock.
void sweep_half_written(const std::string& directory);

}  // namespace rolewall::apply
