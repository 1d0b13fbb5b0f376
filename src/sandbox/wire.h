// Both ends of a sandbox's cables: frames put on the far end, which arrive on the host's device,
// and packets that a local program sends. Each carries a firewall mark of ours, by which the trace
// of it is found again.
//
// REQUIRES: the namespace of set_up_host().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "eval/packet.h"
#include "ruleset/host.h"
#include "sandbox/descriptor.h"

namespace rolewall::sandbox {

class Wire {
 public:
  // `host` as realise() makes it.
  static Result<Wire> open(const ruleset::Host& host);

  // Lets packet.bytes arrive on packet.in_device ("lo" too), in an Ethernet frame addressed as
  // packet.type says. Unless the host says which groups it has joined, the device joins each
  // multicast group when it is first sent to: on a real host a program would have. The frame may be
  // still on its way when this returns, but frames never overtake each other.
  Result<void> arrive(const eval::Packet& packet, std::uint32_t mark);

  // Sends packet.bytes through a raw socket of packet.user (left out: root) by packet.out_device
  // ("lo", "": as the routes say). All hooks have run when this returns. Returns 0, or the errno
  // with which the stack or a hook refused it.
  Result<int> send(const eval::Packet& packet, std::uint32_t mark);

 private:
  struct End {
    unsigned index = 0;       // of the device
    unsigned peer_index = 0;  // what a frame is sent on to arrive there
    std::vector<std::uint8_t> mac;
    std::vector<std::uint8_t> peer_mac;
  };
  // A raw socket: family, device, user and group are its own for life.
  using SocketKey = std::tuple<int, std::string, std::uint32_t, std::uint32_t>;

  Result<void> join(const net::Address& group, unsigned device);
  Result<int> raw_socket(const SocketKey& key);

  Descriptor packet_socket_;
  std::map<std::string, End> ends_;
  std::map<SocketKey, Descriptor> raw_sockets_;
  bool joins_all_ = true;
  std::set<std::pair<unsigned, net::Address>> joined_;
  std::vector<Descriptor> memberships_;
};

}  // namespace rolewall::sandbox
