// A connection that no packet has begun, entered in connection tracking's table
// (ctnetlink_create_conntrack() of net/netfilter/nf_conntrack_netlink.c).
#pragma once

#include <optional>

#include "base/error.h"
#include "netlink/conntrack_entry.h"

namespace rolewall::netlink {

// Of TCP it is open, and takes whatever sequence numbers come.
struct NewConnection {
  // Of ICMP the first port is the identifier, the second one type and code.
  ConntrackTuple original;
  ConntrackTuple reply;
  bool answered = false;  // packets have gone both ways
  // The original tuple of the connection whose helper has expected this one.
  std::optional<ConntrackTuple> expected_by;
};

Result<void> enter_connection(const NewConnection& connection);

}  // namespace rolewall::netlink
