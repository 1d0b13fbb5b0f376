// What was put in force, by an apply, a rollback or `disable`, and waits for `confirm`:
// `pending.json` of the state directory. Once it is over, what became of it is an event (events.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kPendingFile = "pending.json";

struct Pending {
  std::optional<std::uint32_t> generation;  // what waits; absent: no table
  std::optional<std::uint32_t> former;      // what comes back without a confirmation; likewise
  std::string token;                        // tells this apply from every other
  std::string boot_id;
  std::uint64_t deadline_ns = 0;  // World::boot_ns() of that boot
  std::string deadline;           // RFC 3339, UTC, for people
  int watcher = 0;                // the process that waits
};

std::string to_json(const Pending& pending);

// std::nullopt where nothing is pending. An error where the file is damaged, or not to be trusted.
Result<std::optional<Pending>> read_pending(const std::string& directory);
// The same, where it still waits in this boot: what waited when the machine went down is over.
Result<std::optional<Pending>> waiting(const std::string& directory, const World& world);

// "generation 3"; "the removal of the table".
std::string name_of_waiting(const Pending& pending);
// Where waiting() or read_pending() cannot tell, nothing is taken to wait; why, for people.
std::string none_taken_to_wait(const Error& error);

// Its time is over, and it was not rolled back: the process that should have is gone, or cannot.
bool is_overdue(const Pending& pending, const World& world);

}  // namespace rolewall::apply
