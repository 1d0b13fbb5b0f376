// The table that has the kernel trace real packets: those alone that words describe, as they arrive
// and as this host sends them. It is owned by who loads it (NFT_TABLE_F_OWNER), and changes nothing
// of a packet but its trace bit.
//
// Before every other base chain of prerouting and output the packets meant get the bit, datagrams
// that came in fragments once they are whole; after every
// other of input and postrouting a chain without rules is told of as any other, so that it shows
// that a packet has come through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/diagnostic.h"
#include "net/address_set.h"
#include "policy/policy.h"
#include "ruleset/ruleset.h"

namespace rolewall::ask {

// With the number of the process behind it.
inline constexpr std::string_view kTraceTables = "rolewall-trace-";

namespace trace_chain {
inline constexpr std::string_view kArriving = "arriving";
inline constexpr std::string_view kSent = "sent";
inline constexpr std::string_view kMark = "mark";
inline constexpr std::string_view kDelivered = "delivered";
inline constexpr std::string_view kLeft = "left";
}  // namespace trace_chain

struct TraceLimits {
  std::uint32_t a_second = 200;  // packets; more pass without a trace
  std::uint32_t at_once = 200;
  // A chain of prerouting stands before what makes datagrams whole (NF_IP_PRI_CONNTRACK_DEFRAG):
  // to come before it, too, leaves datagrams in fragments out.
  bool before_defragmentation = false;
};

// Whether there is such a chain.
bool has_chains_before_defragmentation(const ruleset::Ruleset& ruleset);

// `host`: whose `self` it is, and which interfaces have names. Absent where something was reported:
// words that name no packet of this host's, or say what a packet does not show where it is marked.
std::optional<ruleset::Table> trace_table(const policy::Policy& policy, policy::Index host,
                                          const policy::PacketWords& words, std::string name,
                                          const TraceLimits& limits, Diagnostics& diagnostics);

}  // namespace rolewall::ask
