// What a change cuts: open connections whose first packet the new ruleset would deny. Nothing ends
// them by itself, since what is established passes before any rule of the policy is asked.
//
// Our own table's word alone counts: what another program's rules deny is not of this change. What
// cannot be known (by which device a packet came, who sends it) makes a connection unclear, and an
// unclear one is named and never cut. Nor is what an administrator's session is or lives on.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apply/guard_facts.h"
#include "apply/kernel.h"
#include "apply/rulesets_in_part.h"
#include "base/error.h"
#include "netlink/open_connections.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

using netlink::OpenConnection;

// Those that one rule admits today and one denies afterwards.
struct CutGroup {
  std::string admitted_by;  // the rule's id; "": none of today's table, but an earlier one's
  std::string denied_by;    // a rule's id or a built-in step's; "": none, it is translated:
  std::string sent_to;      // where the first packet of it would go instead, "10.0.3.11:3306"
  std::vector<std::size_t> connections;  // numbers among NotAdmitted::all
};

struct Unclear {
  OpenConnection connection;
  std::string why;
};

struct NotAdmitted {
  std::size_t open = 0;  // connections that were asked about
  std::vector<OpenConnection> all;
  std::vector<CutGroup> groups;        // the largest first
  std::vector<OpenConnection> spared;  // of administrators: they would be denied, and go on
  // Of `all`, those passed on that cannot be ended: the next packet from the other end is new to
  // the rules and they admit it, and nf_conntrack_tcp_loose has it taken for a connection's
  // beginning.
  std::vector<OpenConnection> turned;
  std::size_t unclear = 0;
  std::vector<Unclear> first_unclear;  // kMostUnclear of them at most
};
inline constexpr std::size_t kMostUnclear = 5;

// Whether it is an administrator's: his session, ssh from management, or what carries one.
bool is_administrators(const OpenConnection& connection, const GuardFacts& facts);

// As the evaluator says, of rulesets that were read. `now_ns`: since 1970, for rules that read the
// time.
NotAdmitted judge_open(InPart& before, InPart& after, std::span<const OpenConnection> open,
                       const GuardFacts& facts, std::uint64_t now_ns);

// The same on the running host, of what is open now. `wanted`: our table as it will be.
Result<NotAdmitted> not_admitted(Kernel& kernel, const ruleset::Table& wanted,
                                 const GuardFacts& facts, std::uint64_t now_ns);

// Ends what the table that is in force by now, `wanted`, does not admit: in several rounds, since a
// connection may have been on its way through the rules as they changed.
struct CutOff {
  std::size_t connections = 0;
  netlink::Ended ended;
  std::vector<OpenConnection> spared;
  std::vector<OpenConnection> turned;  // as NotAdmitted's
  std::size_t unclear = 0;
  bool complete = true;  // false: after the last round there was still something
};
Result<CutOff> cut_not_admitted(Kernel& kernel, const ruleset::Table& wanted,
                                const GuardFacts& facts, std::uint64_t now_ns);

}  // namespace rolewall::apply
