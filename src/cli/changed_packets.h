// What an apply, a rollback or a generation changes for packets, in a few lines: for verbs about
// this host, beside the rules that they list.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ask/diff.h"
#include "cli/terminal.h"
#include "policy/policy.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

// What was applied last, and the policies.
inline constexpr std::string_view kDiffToPolicies = "rolewall diff generation:current";
// Where another program has changed the table: what was applied last tells nothing of its packets.
inline constexpr std::string_view kDriftedPackets =
    "packets: another program has changed the table: `rolewall diff live` compares it";

// `policy`: whose names are used; null: there is none at hand. On one machine: that of `after`.
// Its budget is small, for nobody asked: what does not end in it is told as such.
ask::Diff changed_packets(const ruleset::Snapshot& before, const ruleset::Snapshot& after,
                          const policy::Policy* policy);

// Against what was applied last. Absent: nothing was, or it cannot be read, which others say.
std::optional<ask::Diff> changed_packets(const std::string& state_directory,
                                         const ruleset::Snapshot& after,
                                         const policy::Policy* policy);

// "packets: more permissive: ...", and a line for each class; of more than `most`, and of what is
// not compared, the command that shows them: "rolewall diff generation:current".
std::vector<std::string> short_lines(const Terminal& to, const ask::Diff& diff, std::size_t most,
                                     std::string_view command);

}  // namespace rolewall::cli
