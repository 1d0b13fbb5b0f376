// What the history does not say, since who did it was killed before, or found no room. The links
// `current` and `boot` are made first and the event is written after them, so that they tell what
// happened; the next verb that changes something writes it down.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/events.h"
#include "apply/state_directory.h"
#include "apply/world.h"

namespace rolewall::apply {

// The oldest first; none where the history is damaged or lost.
std::vector<Event> missing_events(const std::string& directory, const World& world);

// What the history says, and behind it what is missing.
Result<Events> all_events(const std::string& directory, const World& world);

// As far as there is room for them.
void write_missing_events(StateDirectory& state, const World& world);

// That it is in force, by the apply that made it ready and was killed before it said so.
Result<void> record_applied(StateDirectory& state, const World& world,
                            std::optional<std::uint32_t> before, std::uint32_t generation);

// The highest number that the record or the history says to have been in force, or to wait; an
// error where that cannot be told.
Result<std::uint32_t> newest_known(const std::string& directory);

}  // namespace rolewall::apply
