// Putting a compiled ruleset in force, and knowing afterwards what was put there.
//
// The state directory (default /var/lib/rolewall) holds `format` (a number; a newer one than ours
// is refused), `generations/N/` (written aside and renamed: snapshot.json, which carries the source
// map, and applied.json: when, by whom, boot id, network namespace, the kernel's generation id),
// `current` (a link to the generation in force) and `lock`. Everything there is written atomically.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/words.h"
#include "base/error.h"
#include "netlink/netlink.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

inline constexpr std::string_view kDefaultStateDirectory = "/var/lib/rolewall";

// What an apply would change.
struct Plan {
  bool first = false;           // there is no table of ours yet
  std::vector<PlanLine> lines;  // empty: nothing to do
  std::size_t rules_added = 0;  // the kernel's rules; a changed one is removed and added
  std::size_t rules_removed = 0;
  std::size_t rules_kept = 0;  // with their handles and counters

  bool empty() const { return lines.empty(); }
};

// Reads and changes nothing. Where nobody has touched the kernel's firewall since the last apply,
// the record is believed and no element is read.
Result<Plan> plan(const ruleset::Snapshot& snapshot, const std::string& state_directory);

struct Report {
  Plan plan;                     // what was changed
  std::uint32_t generation = 0;  // ours, counting from 1 in the state directory
  std::size_t rules = 0;         // in the table now
  std::size_t sets = 0;
  std::size_t elements = 0;
};

struct Outcome {
  std::optional<Report> report;            // applied, or nothing to do
  std::vector<netlink::Refusal> refusals;  // the kernel said no: nothing was changed
};

// One transaction, with what the plan says and no more; our table alone. The state directory is
// written after the commit; where that fails, the error says that the table is in force and
// unrecorded.
Result<Outcome> apply(const ruleset::Snapshot& snapshot, const std::string& state_directory);

// More differences than this are counted and not listed.
inline constexpr std::size_t kMaxDrift = 100;

struct Status {
  bool table_present = false;
  std::optional<std::uint32_t> generation;  // what was applied last, from the state directory
  std::string applied_at;                   // RFC 3339, UTC
  std::string host;
  bool same_boot = false;          // the record is of this boot and network namespace
  std::vector<std::string> drift;  // how the live table differs from it, in policy words
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
};

Result<Status> status(const std::string& state_directory);

// Removes our table and `current`, so that boot loads nothing until the next apply. Success where
// there is nothing to remove; returns whether there was.
Result<bool> disable(const std::string& state_directory);

// What was applied last, with its source map; std::nullopt where nothing was.
Result<std::optional<ruleset::Snapshot>> last_applied(const std::string& state_directory);

}  // namespace rolewall::apply
