// What our table has counted, by policy rule and built-in step, and how full its sets are.
//
// A rule's counter stands behind `(established)`: it counts packets that begin a connection, and
// not the traffic of what it has let in. So does a drop of each packet that is dropped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "netlink/netlink.h"
#include "ruleset/ruleset.h"

namespace rolewall::observe {

enum class Fate : std::uint8_t {
  Accepted,
  Dropped,
  Rejected,
  Audited,     // would be denied, were it not for audit mode
  Translated,  // a [[nat]] rule's
  Passed,      // goes on to the next rule: what a drop rule's limit lets pass
};

std::string_view name_of(Fate fate);  // "accept", "drop", ...
bool is_denied(Fate fate);            // dropped or rejected

struct RuleCount {
  std::string name;   // the policy rule's id, or a step's with its brackets
  std::string chain;  // where it is counted: the rule's own, a base chain, what it jumps to
  Fate fate = Fate::Accepted;
  bool is_excess = false;  // over the rule's limit; the rule's own count has these, too
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// Whether the defaults deny nothing, but count and log what they would deny. REQUIRES: our table.
bool audits(const ruleset::Table& table);

// One for each rule, step, place and fate, in the table's order. REQUIRES: our table.
std::vector<RuleCount> count_rules(const ruleset::Table& table);

enum class SetUse : std::uint8_t { Bans, Openings, RateSources, ConnectionSources, LogSources };

std::string_view name_of(SetUse use);  // "bans", "openings", "limit", "connections", "log"

struct SetFill {
  std::string name;
  std::string rule;  // whose it is; "" for those that all share
  SetUse use = SetUse::Bans;
  std::optional<std::uint64_t> elements;  // absent: more than were read
  std::uint64_t size = 0;                 // most of them; 0: no limit
};

// Those that packets, `ban` and `allow` fill. `counted`: what the kernel says of each set, where it
// does; else the elements that were read are counted.
std::vector<SetFill> set_fills(const ruleset::Table& table,
                               const std::vector<netlink::SetState>& counted,
                               const std::vector<netlink::UnreadSet>& unread);

}  // namespace rolewall::observe
