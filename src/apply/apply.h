// Putting a compiled ruleset in force, and knowing afterwards what was put there.
//
// The state directory (default /var/lib/rolewall) holds `format` (a number; any other than ours
// is refused), `generations/N/` (written aside and renamed: snapshot.json, which carries the source
// map, the files of element_files.h, and applied.json: when, by whom, boot id, network namespace,
// the kernel's generation id), `current` (a link to the generation in force), `boot` (to the one
// that the next boot loads: the last that was confirmed), `pending.json` and `rolled-back.json`
// (pending.h), `bans.log` (ban_log.h), and `lock`, `turn` and `bans.lock` (file_lock.h). All but
// the log, which grows line by line, is written atomically.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/guard.h"
#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/words.h"
#include "apply/world.h"
#include "base/error.h"
#include "netlink/netlink.h"
#include "observe/survey.h"
#include "ruleset/snapshot.h"

namespace rolewall::apply {

inline constexpr std::string_view kDefaultStateDirectory = "/var/lib/rolewall";

struct Belief;     // belief.h
struct GuardCall;  // ask_guard.h

// What an apply would change.
struct Plan {
  bool first = false;           // there is no table of ours yet
  std::vector<PlanLine> lines;  // empty: nothing to do
  std::size_t rules_added = 0;  // the kernel's rules; a changed one is removed and added
  std::size_t rules_removed = 0;
  std::size_t rules_kept = 0;  // with their handles and counters
  // What was in the kernel when the plan was made. Absent: no table of ours, or nothing was read.
  std::shared_ptr<const Belief> seen{};

  bool empty() const { return lines.empty(); }
};

// Whether the record of the last apply is believed where it may be (belief.h), so that what nobody
// has touched is not read.
enum class Reading : std::uint8_t { WhatMayDiffer, Everything };

// Reads and changes nothing.
Result<Plan> plan(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                  Reading reading = Reading::WhatMayDiffer, const World& world = this_world());

struct ApplyOptions {
  // Without a confirmation within this time the former state comes back.
  std::optional<std::chrono::seconds> confirm_within;
  // For good, though an earlier apply still waits for its confirmation: both are in force then.
  bool for_good = false;
  // Asked before the commit; what would be lost refuses the apply, unless `force`.
  std::optional<GuardFacts> guard{};
  bool force = false;
  // Of the plan that was shown: its elements are not read again while the kernel's generation
  // stands.
  std::shared_ptr<const Belief> seen{};
  Reading reading = Reading::WhatMayDiffer;
};

struct Report {
  Plan plan;                     // what was changed
  std::uint32_t generation = 0;  // ours, counting from 1 in the state directory
  std::size_t rules = 0;         // of the policy
  std::size_t sets = 0;
  std::size_t elements = 0;        // without those of bans, openings and packets
  std::optional<Pending> pending;  // waits for confirm()
  std::vector<Loss> overridden;    // what `force` lost
  std::vector<Loss> notes;         // of the guard
};

struct Outcome {
  std::optional<Report> report{};            // applied, or nothing to do
  std::vector<netlink::Refusal> refusals{};  // the kernel said no: nothing was changed
  std::vector<Loss> losses{};                // the guard said no: nothing was changed
  std::vector<Loss> notes{};                 // where it said no: what else stands in the way
};

// One transaction, with what the plan says and no more; our table alone. What has to be written is
// written before the commit, and the rollback is armed before it: a full disk refuses the apply.
// An error of kind Refused where an earlier apply waits for its confirmation and `options` say
// nothing of one.
//
// A first apply gives the TCP sessions that are open their conntrack entries beforehand, so that
// none of them is new to the ruleset.
Result<Outcome> apply(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                      const ApplyOptions& options = {}, const World& world = this_world());

// What waits is in force for good.
enum class Confirmation : std::uint8_t { Confirmed, NothingPending, TooLate };
Result<Confirmation> confirm(const std::string& state_directory, const World& world = this_world());

// To the state before what waits for its confirmation; else to an older generation, which boot then
// loads, too: `to`, or the one before the current. An error of kind Refused where there is none.
// Where the guard refuses, an error of that kind too.
Result<RolledBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                            const World& world = this_world(), GuardCall* guard = nullptr);
// Only what waits and whose time is over: std::nullopt where there is none. For systemd's timer,
// should the process that waits be dead.
Result<std::optional<RolledBack>> rollback_expired(const std::string& state_directory,
                                                   const World& world = this_world());

// For boot: what was confirmed last comes into force, as it was compiled then. An error where it
// cannot be read.
struct Booted {
  std::optional<std::uint32_t> generation;   // absent: nothing was applied, or it was disabled
  std::optional<std::uint32_t> unconfirmed;  // this was in force and nobody had confirmed it
};
Result<Booted> boot(const std::string& state_directory, const World& world = this_world(),
                    GuardCall* guard = nullptr);

// Puts a ruleset in force that is no generation: what boot falls back to.
Result<Outcome> put_unrecorded(const ruleset::Snapshot& snapshot,
                               const World& world = this_world());

struct History {
  std::vector<Applied> generations;  // the oldest first
  std::optional<std::uint32_t> current;
  std::optional<std::uint32_t> boot;
  std::optional<Pending> pending;
};
Result<History> history(const std::string& state_directory, const World& world = this_world());

// More differences than this are counted and not listed.
inline constexpr std::size_t kMaxDrift = 100;

struct Status {
  bool table_present = false;
  std::optional<std::uint32_t> generation;  // what was applied last, from the state directory
  std::string applied_at;                   // RFC 3339, UTC
  std::string host;
  bool same_boot = false;  // the record is of this boot and network namespace
  std::optional<Pending> pending;
  std::optional<RolledBack> rolled_back;  // since the last apply
  std::vector<std::string> drift;         // how the live table differs from it, in policy words
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
  std::size_t bans = 0;
  std::size_t openings = 0;
  observe::Survey survey;  // empty where nothing was asked of the surroundings
};

Result<Status> status(const std::string& state_directory,
                      const std::optional<observe::Surroundings>& around = std::nullopt,
                      const World& world = this_world());

// Removes our table and `current`, so that boot loads nothing until the next apply. Success where
// there is nothing to remove; returns whether there was.
Result<bool> disable(const std::string& state_directory, const World& world = this_world(),
                     GuardCall* guard = nullptr);

// What was applied last, with its source map; std::nullopt where nothing was.
Result<std::optional<ruleset::Snapshot>> last_applied(const std::string& state_directory);

}  // namespace rolewall::apply
