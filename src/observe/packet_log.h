// The packets that rules log to a group, byte for byte (net/netfilter/nfnetlink_log.c).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/error.h"
#include "netlink/event_socket.h"

namespace rolewall::observe {

class PacketLog {
 public:
  // Listens to `group` of the current network namespace.
  static Result<PacketLog> open(std::uint16_t group);

  // Appends what has come, from the network header on. Does not wait: a packet is told of before
  // its trace is at an end.
  Result<void> read(std::vector<std::vector<std::uint8_t>>& packets);

 private:
  explicit PacketLog(netlink::EventSocket socket) : socket_(std::move(socket)) {}

  netlink::EventSocket socket_;
};

}  // namespace rolewall::observe
