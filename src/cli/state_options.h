// Where a verb that touches the server keeps what it applied.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "apply/apply.h"
#include "apply/state_files.h"
#include "apply/systemd.h"
#include "apply/watch.h"
#include "cli/printed_commands.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "cli/terminal.h"
#include "cli/time_option.h"
#include "netlink/netlink.h"

namespace rolewall::cli {

// What audit mode means, for whoever must know it first.
inline constexpr std::string_view kAudits =
    "the defaults deny nothing: what they would deny is logged and passes";

inline void add_state_option(Verb& verb, std::string& directory) {
  verb.add_option("--state-dir", directory, "where the record of what was applied is kept")
      .type_name("DIR")
      .show_default();
}

inline void add_read_all_option(Verb& verb, bool& read_all) {
  verb.add_flag(
      "--read-all", read_all,
      "read all elements from the kernel, even of large sets, instead of trusting the record");
}
inline apply::Reading reading(bool read_all) {
  return read_all ? apply::Reading::Everything : apply::Reading::WhatMayDiffer;
}

// What comes back without a confirmation: " to generation 1"; and how it is kept or undone.
inline std::string to_what(const apply::Pending& pending) {
  return pending.former ? fmt::format(" to generation {}", *pending.former)
                        : std::string(" (to no table: nothing is filtered then)");
}
inline std::string when_over(const apply::Pending& pending) {
  return apply::when_over(pending, apply::this_world());
}
// Behind a verb: the policies as they were applied; "" where they are found so. Without a host,
// this machine's.
inline std::string policies_named(const std::string& policies, const std::string& host) {
  if (policies.empty() || policies == kServerDirectory) return "";
  const std::string named = " -p " + quoted(policies);
  return host.empty() ? named : named + " --host " + quoted(host);
}
// What applies them again.
inline std::string applying_again(const std::string& policies, const std::string& host) {
  return "rolewall apply" + policies_named(policies, host);
}
// Whoever may not change the firewall is told so before he is told that there is nothing to do.
inline Result<void> may_change_firewall() {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  const auto generation = kernel->generation();
  return generation ? Result<void>() : std::unexpected(generation.error());
}
// What waits and is not overdue. Nobody else than the process that waits, or systemd's timer, would
// do it.
inline std::string what_becomes_of(const apply::Pending& pending) {
  const std::string what = apply::name_of_waiting(pending);
  if (apply::is_watched(pending)) {
    return fmt::format("{} will be rolled back {}{}", what, when_over(pending), to_what(pending));
  }
  return fmt::format(
      "{} waits for its confirmation, but nobody will roll it back {}: the process "
      "that waits is dead{}",
      what, when_over(pending),
      apply::systemd_runs_here() ? ", and systemd's timer for it will not fire" : "");
}
inline void say_what_waits(const apply::Pending& pending) {
  out().line(
      fmt::format("It will be rolled back {}{} unless you confirm it. From a NEW connection:\n"
                  "  sudo rolewall confirm\n"
                  "To undo it now: sudo rolewall rollback",
                  when_over(pending), to_what(pending)));
}

// The command that goes back, and where it goes; "" where there is no way back.
inline std::string command_back(const apply::WayBack& way) {
  if (!way.is_there) {
    if (way.why_named.empty()) return "";
    return "sudo rolewall rollback --to N    (`rolewall history` lists them)";
  }
  return fmt::format("sudo rolewall {}    {}", way.command(),
                     way.to ? fmt::format("to generation {}, in force before", *way.to)
                            : std::string("to no table: nothing is filtered then"));
}
inline void say_audit_mode() {
  out().line(fmt::format("{}: {}", out().paint(Tone::Warning, "audit mode"), kAudits));
}

// A rollback by itself, for verbs that go back.
inline Option add_confirm_option(Verb& verb, std::string& time) {
  return verb
      .add_option("--confirm", time,
                  "return after this time (60s, 5m) unless confirmed by `rolewall confirm`")
      .type_name("TIME");
}
inline Result<std::optional<std::chrono::seconds>> confirm_within(const std::string& time) {
  if (time.empty()) return std::nullopt;
  const auto within = parse_time("--confirm", time, std::chrono::hours(24));
  if (!within) return std::unexpected(within.error());
  return *within;
}

// How each verb begins that changes something: what was not confirmed in time and is in force
// still, since the process that should have rolled it back is dead, is rolled back now, and that is
// said. Why nothing of the directory is read, the verb itself says.
inline void carry_out_overdue(const std::string& state_directory) {
  const auto done = apply::rollback_expired(state_directory);
  if (!done && !apply::list_state_folder(state_directory, "")) return;
  if (!done) render_notes({done.error().message});
  if (done && *done) render_notes({apply::in_words(**done)});
}

}  // namespace rolewall::cli
