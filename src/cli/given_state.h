// How a live kernel is asked about a packet whose conntrack state a question gives: by connections
// that stand in conntrack's table before it comes, and by a header that conntrack refuses. That the
// kernel then has it in that state, a table beside the rules sees to.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "eval/packet.h"
#include "netlink/new_connection.h"
#include "ruleset/ruleset.h"

namespace rolewall::cli {

struct Preparation {
  std::vector<netlink::NewConnection> connections;  // to be entered before, in this order
  eval::Packet packet;                              // as it is sent
};

// To be tried one after the other: which of them leads there, the packet's protocol, flags and
// direction decide. REQUIRES: packet.ct_state.
std::vector<Preparation> preparations(const eval::Packet& packet, bool arrives);

inline constexpr std::string_view kStateTable = "rolewall-state";

// Drops, right behind connection tracking, what is in another state than `wanted`, a bit of
// ruleset::ct_state; where untracked is wanted, nothing is tracked. Whatever is wanted, it makes
// the same objects.
ruleset::Table state_table(std::optional<std::uint32_t> wanted);

}  // namespace rolewall::cli
