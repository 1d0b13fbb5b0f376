// What was put in force, by an apply, a rollback or `disable`, and waits for `confirm`:
// `pending.json` of the state directory. Once it is over, what became of it is an event (events.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace rolewall::apply {

class World;

inline constexpr const char* kPendingFile = "pending.json";

struct Pending {
  std::optional<std::uint32_t> generation;  // what waits; absent: no table
  std::optional<std::uint32_t> former;      // what comes back without a confirmation; likewise
  std::string token;                        // tells this apply from every other
  std::string boot_id;
  std::uint64_t deadline_ns = 0;  // World::boot_ns() of that boot; UINT64_MAX: it is not known
  std::string deadline;           // RFC 3339, UTC, for people
  int watcher = 0;                // the process that waits
};

std::string to_json(const Pending& pending);

// std::nullopt where there is no such file. An error where it is damaged, or not to be trusted:
// what that means is waiting.h's to say, for every verb.
Result<std::optional<Pending>> read_pending(const std::string& directory);

// "generation 3"; "the removal of the table".
std::string name_of_waiting(const Pending& pending);

// Whether it is known until when it waits: not where pending.json is lost.
bool has_deadline(const Pending& pending);
// "at 2026-12-24T08:30:00Z (in 1m 30s)", or "(20m ago)".
std::string when_over(const Pending& pending, const World& world);

}  // namespace rolewall::apply
