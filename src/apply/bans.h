// Bans and openings: elements of our table's run-time sets, made by hand or by a program such as
// fail2ban, and the jumps that lead to these sets, which come with the first one. The kernel holds
// them; `bans.log` of the state directory remembers them over a reboot.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apply/run_time_entries.h"
#include "apply/world.h"
#include "base/error.h"
#include "net/address.h"
#include "net/address_set.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

struct GuardCall;  // ask_guard.h

// Whether the state directory, if there is one, is this version's: an error that says what to do
// where it is not. Bans and openings are then neither read nor written.
Result<void> may_record(const std::string& state_directory);

// `unrecorded`, here and below: the kernel has done it, but it could not be written down, so that a
// reboot undoes it.
struct Added {
  RunTimeEntry entry;                   // as it is in force
  std::vector<net::Prefix> replaced;    // narrower bans: `entry` has the longest time of all
  std::optional<RunTimeEntry> part_of;  // a wider ban, which lasts as long: nothing was added
  std::optional<Error> unrecorded;
};
// Adds it, or gives what is there the new time and reason. An error of kind Refused where no table
// of ours is in force, or where a wider ban holds it that ends before.
Result<Added> add_entry(const RunTimeEntry& entry, const std::string& state_directory,
                        const World& world = this_world());

struct Removed {
  bool was_there = false;
  bool was_recorded_alone = false;  // no table is in force: the record alone was looked at
  std::optional<Error> unrecorded;
};
// An error of kind Refused where the guard refuses. What is not there is no error, table or none.
Result<Removed> remove_entry(const RunTimeEntry& entry, const std::string& state_directory,
                             const World& world = this_world(), GuardCall* guard = nullptr);

// As the kernel holds them. Empty where there is no table.
Result<std::vector<RunTimeEntry>> list_entries(const World& world = this_world());
// Whether there is a table of ours at all. False, too, where the kernel does not say.
bool is_in_force(const World& world = this_world());
// Of these, the bans that hold some address of `prefix`.
Result<std::vector<RunTimeEntry>> bans_of(const net::Prefix& prefix,
                                          const World& world = this_world());
// The same of those that are recorded, and come back with a table.
std::vector<RunTimeEntry> recorded_bans_of(const net::Prefix& prefix,
                                           const std::string& state_directory,
                                           const World& world = this_world());

// Of what is recorded, what its sets lack. REQUIRES: the table with the elements of its sets.
std::vector<RunTimeEntry> lacking_in(const ruleset::Table& table,
                                     std::vector<RunTimeEntry> recorded);

// The addresses that a table bans. REQUIRES: its elements were read.
net::AddressSet banned_by(const ruleset::Table& table);

// What the log remembers and has not run out goes into the run-time sets of a table that is made
// for the first time since boot, as far as it goes; returns what did not, in words. Of prefixes
// that overlap the widest stays, with the longest time. Shortens the log.
std::vector<std::string> recall_entries(const std::string& state_directory, const World& world,
                                        ruleset::Table& table);

}  // namespace rolewall::apply
