// Putting a compiled ruleset in force, and knowing afterwards what was put there.
//
// The state directory (default /var/lib/rolewall) holds
//   format              a number: ours, or an older one that is read (older_format.h)
//   generations/N/      written aside and renamed, and never changed: snapshot.json, which carries
//                       the source map, the files of element_files.h, applied.json (when, by whom,
//                       for whom), policies.json (from what a refresh compiles it again; may be
//                       missing), and their checksums, `seal`
//   current, boot       links to the generation in force, and to the one that the next boot loads:
//                       the last that was confirmed; to `nothing` where there is none
//   history.log         what happened (events.h)
//   pending.json        what waits for its confirmation (pending.h)
//   names.json          what the DNS has said (known_names.h)
//   kernel.json         at which mark the kernel holds the current generation; may be missing
//   bans.log            bans and openings (ban_log.h)
//   lock, turn, bans.lock   file_lock.h
// All but the two logs, which grow line by line, is written atomically. Nothing of it is believed
// that others could have written (state_files.h) or that is not what was written (seal.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apply/events.h"
#include "apply/guard.h"
#include "apply/not_admitted.h"
#include "apply/pending.h"
#include "apply/policy_change.h"
#include "apply/state_directory.h"
#include "apply/way_back.h"
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
  bool first = false;  // there is no table of ours yet
  // Of the policy, since the last apply; std::nullopt where nothing is known of that. plan() alone
  // says it.
  std::optional<std::vector<PolicyChange>> changes;
  // How the kernel's table differs from what was applied last, by another program's doing, as what
  // becomes of it; plan() alone.
  std::vector<ChangeItem> drift;
  std::vector<ChangeItem> items;  // all that changes in the kernel; empty: nothing to do
  bool idle_jumps_alone =
      false;  // `items` are those to bans and openings that are none (plan() alone)
  std::size_t rules_added = 0;  // the kernel's rules; a changed one is removed and added
  std::size_t rules_removed = 0;
  std::size_t rules_kept = 0;  // with their handles and counters
  // What was in the kernel when the plan was made. Absent: no table of ours, or nothing was read.
  std::shared_ptr<const Belief> seen{};

  bool empty() const { return items.empty(); }
  bool changes_policy() const { return changes && !changes->empty(); }
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
  std::string policies{};  // the directory that the ruleset comes from, absolute: for the record
  // For good, though an earlier apply still waits for its confirmation: both are in force then.
  bool for_good = false;
  // Asked before the commit; what would be lost refuses the apply, unless `force`.
  std::optional<GuardFacts> guard{};
  bool force = false;
  // Of the plan that was shown: its elements are not read again while the kernel's generation
  // stands.
  std::shared_ptr<const Belief> seen{};
  Reading reading = Reading::WhatMayDiffer;
  // `refresh`: in place of that generation, which must be in force, table and all: an error of kind
  // Conflict where it is not.
  std::optional<std::uint32_t> refreshes{};
  // What `refresh` compiles it from again; kept with the generation, and none of our business.
  std::string sources{};
  std::string why{};  // of `refreshes`, for the history
  // Once it is in force, end the open connections that it does not admit (not_admitted.h).
  // REQUIRES: `guard`, which knows whose are spared.
  bool cut = false;
};

struct Report {
  Plan plan;                     // what was changed
  std::uint32_t generation = 0;  // ours, counting from 1 in the state directory
  std::size_t rules = 0;         // of the policy
  std::size_t sets = 0;
  std::size_t elements = 0;                // without those of bans, openings and packets
  WayBack way_back;                        // where nothing waits
  std::optional<Pending> pending;          // waits for confirm()
  bool time_begins_anew = false;           // `pending` waited before, for another deadline
  std::optional<std::uint32_t> confirmed;  // waited before, and is in force for good now
  std::vector<Loss> overridden;            // what `force` lost
  std::vector<Loss> notes;                 // of the guard
  std::vector<std::string> problems;       // what of the record could not be read, and the like
  std::optional<CutOff> cut{};             // what ApplyOptions::cut has ended
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
// nothing of one; `confirm_within` gives what waits that time from now on, though nothing else is
// to be done, and `for_good` confirms it. One whose time is over is rolled back first.
//
// A record that cannot be read counts as none, which `notes` say. So that there is something to go
// back to, what the kernel holds becomes a generation then.
//
// A first apply gives the TCP sessions that are open their conntrack entries beforehand, so that
// none of them is new to the ruleset (open_sessions.h).
Result<Outcome> apply(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                      const ApplyOptions& options = {}, const World& world = this_world());

// What the guard says to it, for whoever asks somebody before an apply, which asks the guard again.
// REQUIRES: options.guard.
Result<GuardAnswer> ask_guard_first(const ruleset::Snapshot& snapshot,
                                    const std::string& state_directory, const ApplyOptions& options,
                                    const World& world = this_world());

// What is open and would be denied (not_admitted.h). Changes nothing.
Result<NotAdmitted> what_is_cut(const ruleset::Snapshot& snapshot, const GuardFacts& facts,
                                const World& world = this_world());

// What waits is in force for good. It is looked whether it is in force at all: a table that is gone
// is put back, and waits on for a confirmation of somebody whom it let in.
enum class Confirmation : std::uint8_t { Confirmed, NothingPending, TooLate, RolledBack, PutBack };
struct Confirmed {
  Confirmation what = Confirmation::NothingPending;
  std::optional<Pending> pending{};     // of PutBack: what waits on
  std::vector<std::string> problems{};  // what went otherwise beside it, and what came of TooLate
  bool is_removal = false;              // of Confirmed: that there is no table
  std::optional<Event>
      taken_back{};  // of TooLate and RolledBack, which is by hand, where the history knows it
};
Result<Confirmed> confirm(const std::string& state_directory, const World& world = this_world());

// To the state before what waits for its confirmation; else to an older generation, which boot then
// loads, too: `to`, or the one that was in force before, by the history (events.h); after `disable`
// the one before that. An error of kind Refused where there is none, or where the guard refuses.
// What waits and whose time is over is rolled back first, and that is all where `to` is not said.
// To what is in force already, for good, is success: at most it is loaded again; to what is in
// force and waits is refused.
//
// Without a confirmation within `confirm_within`, what was confirmed last comes back; where that is
// what this goes to, nothing waits.
//
// A state directory that can be read and not written keeps nobody from it, here and in disable(),
// but where a confirmation would be waited for: what is done then and not recorded is said.
Result<TakenBack> rollback(const std::string& state_directory, std::optional<std::uint32_t> to,
                           const World& world = this_world(), GuardCall* guard = nullptr,
                           std::optional<std::chrono::seconds> confirm_within = {});
// Only what waits and whose time is over: std::nullopt where there is none. For systemd's timer,
// should the process that waits be dead, and for every verb that changes something.
Result<std::optional<TakenBack>> rollback_expired(const std::string& state_directory,
                                                  const World& world = this_world());

// For boot (boot.cc): what was confirmed last comes into force, as it was compiled then, or what
// waits in this boot. An error where its record cannot be read.
struct Booted {
  std::optional<std::uint32_t> generation;  // absent: nothing was applied, or it was disabled
  std::string unconfirmed;                  // what was in force and nobody had confirmed, or ""
  std::optional<Pending> pending;           // waits on
  WayBack way_back;                         // where nothing is in force for good: after `disable`
  bool audits = false;                      // is_in_audit_mode()
  std::vector<std::string> problems;        // what beside the ruleset could not be read or put
};
Result<Booted> boot(const std::string& state_directory, const World& world = this_world(),
                    GuardCall* guard = nullptr);

// Puts a ruleset in force that is no generation, with the bans and openings that are remembered.
// `why`, what could not be loaded, and `instead`, what this is, stand in the history.
struct FellBack {
  std::size_t rules = 0;
  bool audits = false;
  std::vector<std::string> problems;
};
Result<FellBack> fall_back(const ruleset::Snapshot& snapshot, const std::string& state_directory,
                           const std::string& why, const std::string& instead,
                           const World& world = this_world());

struct History {
  std::vector<Event> events;          // the oldest first
  std::vector<Applied> generations;   // that are kept, the oldest first
  std::vector<std::string> problems;  // what of it cannot be read
  std::optional<std::uint32_t> current;
  std::optional<std::uint32_t> boot;
  std::optional<Pending> pending;
};
Result<History> history(const std::string& state_directory, const World& world = this_world());

// More differences than this are counted and not listed.
inline constexpr std::size_t kMaxDrift = 100;

// Whether the table denies nothing by its defaults, but logs what it would deny.
bool is_in_audit_mode(const ruleset::Table& table);

struct Status {
  bool table_present = false;
  bool audits = false;                      // the table there is
  std::optional<std::uint32_t> generation;  // what was applied last, from the state directory
  WayBack way_back;                         // where `rollback` would go
  std::string applied_at;                   // RFC 3339, UTC
  std::string host;
  std::string policies;  // the directory that it comes from, where that was recorded
  // In which world it came into force; absent where no record says it, as on a full disk.
  std::optional<bool> same_boot;
  std::optional<bool> same_namespace;
  bool is_elsewhere = false;  // what is recorded is in force in another network namespace
  std::string unreadable;     // why what was applied last cannot be read; "": it can
  std::string distrusted;  // why nothing of the state directory is read, and how to mend it; or ""
  std::optional<Pending> pending;
  bool overdue = false;              // `pending` should have been rolled back by now
  std::optional<Event> rolled_back;  // since the last apply
  std::optional<Event> disabled;     // and nothing that was applied since is in force
  // It was not confirmed before the machine was restarted, and no boot has been here since.
  bool is_dropped_at_boot = false;
  std::optional<Event> fallback;      // what boot could not load, and what it loaded instead
  std::vector<std::string> problems;  // what of the record cannot be read beside it
  std::string names_refreshed;        // RFC 3339, UTC; "": the policy's names never were
  std::vector<std::string> silent;    // DNS names whose last addresses are kept, in words
  std::vector<std::string> drift;     // how the live table differs from it, in policy words
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
  std::size_t bans = 0;  // in the table; where there is none, those that come back with one
  std::size_t openings = 0;
  observe::Survey survey;  // empty where nothing was asked of the surroundings
};

Result<Status> status(const std::string& state_directory,
                      const std::optional<observe::Surroundings>& around = std::nullopt,
                      const World& world = this_world());

// Removes our table and `current`, so that boot loads nothing until the next apply; `rollback`
// brings it back; so does the end of `confirm_within` without a confirmation, or a boot before it.
// Success where there is nothing to remove.
struct Disabled {
  bool was_there = false;
  std::vector<std::string> problems;
  std::optional<Pending> pending;
  std::optional<Error> unrecorded{};  // the kernel has done it, and the record says otherwise
};
Result<Disabled> disable(const std::string& state_directory, const World& world = this_world(),
                         GuardCall* guard = nullptr,
                         std::optional<std::chrono::seconds> confirm_within = {});

// What was applied last, with its source map; std::nullopt where nothing was.
Result<std::optional<ruleset::Snapshot>> last_applied(const std::string& state_directory);

}  // namespace rolewall::apply
