// An apply that waits for `confirm`, and what became of one that waited in vain. Files of the state
// directory: `pending.json`, `rolled-back.json`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

inline constexpr const char* kPendingFile = "pending.json";
inline constexpr const char* kRolledBackFile = "rolled-back.json";

struct Pending {
  std::uint32_t generation = 0;         // what waits
  std::optional<std::uint32_t> former;  // what comes back without a confirmation; absent: no table
  std::string token;                    // tells this apply from every other
  std::string boot_id;
  std::uint64_t deadline_ns = 0;  // World::boot_ns() of that boot
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
// The same, where it still waits in this boot: what waited when the machine went down is over.
Result<std::optional<Pending>> waiting(const std::string& directory, const World& world);

}  // namespace rolewall::apply
