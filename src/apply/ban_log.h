// `bans.log` of the state directory: an object of JSON a line, with its checksum (seal.h),
// appended; the last that is said of an entry holds.
//
// Times are those of the wall clock, since a ban outlasts the boot, and that clock may be wrong: a
// machine without a battery starts in 1970. So a line says both when the time is over and how long
// it was at first: no entry lasts longer from now on than it was first given, however far back the
// clock is. And what is over by a clock that may be far ahead is not loaded, but stays in the log,
// the newest of it at least, for when the clock is right again. So does a line that is damaged:
// each boot says it, until somebody deletes it.
#pragma once

#include <string>
#include <vector>

#include "apply/bans.h"
#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kBanLog = "bans.log";
// An empty file beside it while it says anything: that it is gone, or emptied, is known by it.
inline constexpr const char* kBansBegun = "bans.begun";

Result<void> log_entry(const std::string& state_directory, const RunTimeEntry& entry,
                       const World& world);
Result<void> log_removal(const std::string& state_directory, const RunTimeEntry& entry);

// Whether a line of it holds for the entry, over or not.
Result<bool> is_logged(const std::string& state_directory, const RunTimeEntry& entry);
// Why, by the line that holds for the entry and is not over; "" where none does or none says.
std::string logged_reason(const std::string& state_directory, const RunTimeEntry& entry,
                          const World& world);

// What holds now, with the time that is left, and what could not be read, in words.
struct Remembered {
  std::vector<RunTimeEntry> entries;
  std::vector<std::string> problems;
  bool is_lost = false;  // it said something once, and one of the problems says so
  bool is_read = true;   // else the one problem says why nothing of it is known
};
// The log stays as it is.
Remembered look_at_log(const std::string& state_directory, const World& world);
// From now on the log has one line for each, where it can be written: a disk that cannot be is no
// problem of what it says.
Remembered read_log(const std::string& state_directory, const World& world);

}  // namespace rolewall::apply
