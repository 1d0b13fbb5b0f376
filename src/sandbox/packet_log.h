// The packets that came through the watch's last chain, byte for byte: what the kernel tells to a
// log group (net/netfilter/nfnetlink_log.c).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/error.h"
#include "sandbox/descriptor.h"

namespace rolewall::sandbox {

class PacketLog {
 public:
  // Listens to `group` of the current network namespace.
  static Result<PacketLog> open(std::uint16_t group);

  // Appends what has come, from the network header on. Does not wait: a packet is told of before
  // its trace is at an end.
  Result<void> read(std::vector<std::vector<std::uint8_t>>& packets);

 private:
  explicit PacketLog(Descriptor socket);

  Descriptor socket_;
  std::vector<std::byte> buffer_;
};

}  // namespace rolewall::sandbox
