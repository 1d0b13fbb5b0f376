// The packets that rules log to a group, byte for byte (net/netfilter/nfnetlink_log.c).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "netlink/event_socket.h"

namespace rolewall::observe {

struct LoggedPacket {
  std::vector<std::uint8_t> bytes;  // from the network header on
  // "attribute 23 is unknown": what the message says that has no meaning here, or what it lacks; ""
  // where all of it was read.
  std::string problem;
};

// Whatever the kernel says, this gives a packet: with a problem, where it was not read whole.
LoggedPacket decode_logged(const netlink::Answer& message);

class PacketLog {
 public:
  // Listens to `group` of the current network namespace.
  static Result<PacketLog> open(std::uint16_t group);

  // Appends what has come. Does not wait: a packet is told of before its trace is at an end.
  Result<void> read(std::vector<LoggedPacket>& packets);

 private:
  explicit PacketLog(netlink::EventSocket socket) : socket_(std::move(socket)) {}

  netlink::EventSocket socket_;
};

}  // namespace rolewall::observe
