// Connection tracking's table, through ctnetlink: the entries of this network namespace.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/sockets.h"

namespace rolewall::netlink {

// With whom this host speaks UDP from one of its ports, whichever side began.
struct UdpPeer {
  Endpoint local;
  Endpoint peer;
  bool began = false;     // the peer
  bool answered = false;  // both sides have sent
  bool is_here = false;   // it is another socket of this host's
};
Result<std::vector<UdpPeer>> read_udp_peers(std::uint16_t port);

// What is between an address for which `is_one` holds and another host: as its first packet
// arrives, and by whom it is answered, which is another than it was sent to where that was
// translated. Ports are 0 where the protocol has none.
struct TrackedFlow {
  std::uint8_t protocol = 0;
  Endpoint from;
  Endpoint to;
  Endpoint answered_by;
  bool answered = false;  // both sides have sent
};
Result<std::vector<TrackedFlow>> read_flows_with(
    const std::function<bool(const net::Address&)>& is_one);

// Takes away every entry, as `conntrack -F` does.
Result<void> forget_connections();

}  // namespace rolewall::netlink
