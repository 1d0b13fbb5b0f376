// `bans.log` of the state directory: an object of JSON a line, appended; the last that is said of
// an entry holds. Times are those of the wall clock, since a ban outlasts the boot.
#pragma once

#include <string>
#include <vector>

#include "apply/bans.h"
#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

Result<void> log_entry(const std::string& state_directory, const RunTimeEntry& entry,
                       const World& world);
Result<void> log_removal(const std::string& state_directory, const RunTimeEntry& entry);

// What holds now, with the time that is left, and one line for each in the log from now on.
Result<std::vector<RunTimeEntry>> read_log(const std::string& state_directory, const World& world);

}  // namespace rolewall::apply
