// An apply that waits for `confirm`, and what became of one that waited in vain. Files of the state
// directory: `pending.json`, `rolled-back.json`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kPendingFile = "pending.json";
inline constexpr const char* kRolledBackFile = "rolled-back.json";

struct Pending {
  std::uint32_t generation = 0;         // what waits
  std::optional<std::uint32_t> former;  // what comes back without a confirmation; absent: no table
  std::string token;                    // tells this apply from every other
  std::string boot_id;
  std::uint64_t deadline_ns = 0;  // CLOCK_BOOTTIME of that boot: no one can set it
  std::string deadline;           // RFC 3339, UTC, for people
  int watcher = 0;                // the process that waits
};

struct RolledBack {
  std::uint32_t generation = 0;
  std::optional<std::uint32_t> to;
  std::string at;  // RFC 3339, UTC
  std::string why;
};

std::string to_json(const Pending& pending);
std::string to_json(const RolledBack& rolled_back);

// std::nullopt where nothing is pending.
Result<std::optional<Pending>> read_pending(const std::string& directory);
Result<std::optional<RolledBack>> read_rolled_back(const std::string& directory);

// CLOCK_BOOTTIME: goes on while the machine sleeps, and cannot be set.
std::uint64_t boot_clock_ns();
std::string this_boot();
// RFC 3339, UTC.
std::string clock_time(std::int64_t seconds_from_now = 0);

}  // namespace rolewall::apply
