// A packet as the kernel's hooks see it: its bytes from the network header on, and the facts that
// travel beside them in an skb. Built by build.h from fields, or taken from a capture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rolewall::eval {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

// PACKET_HOST, _BROADCAST, _MULTICAST, _OTHERHOST of linux/if_packet.h.
enum class PacketType : std::uint8_t { Host = 0, Broadcast = 1, Multicast = 2, OtherHost = 3 };

struct Packet {
  std::uint16_t ether_type = kEtherTypeIpv4;
  std::vector<std::uint8_t> link;   // the Ethernet header, 14 bytes; empty: there is none here
  std::vector<std::uint8_t> bytes;  // from the network header to the end
  // How many of the bytes, at the end, are not known: a capture has cut them off. They stand as
  // zeros, and a rule that reads one is undecided.
  std::uint32_t missing = 0;

  std::string in_device;   // "" on output
  std::string out_device;  // "" on input
  // It goes on between the ports of in_device, a bridge, whoever it is for: br_netfilter shows it
  // to the hooks as forwarded by out_device, the same.
  bool is_bridged = false;
  std::uint32_t mark = 0;
  std::uint32_t priority = 0;
  PacketType type = PacketType::Host;
  std::optional<std::uint32_t> user;  // the owner of the local socket that sends it
  std::optional<std::uint32_t> group;
  // Seen in a capture, where one packet may stand for many segments that the network card or the
  // kernel has put together, or will take apart.
  bool may_be_merged = false;
  // Sent by the host, of which no more was seen: nobody knows by which program, if by any, nor the
  // mark and priority that it gave.
  bool sender_is_open = false;

  // What it bears over the loopback of what connection tracking has found on its way out
  // (skb->_nfct): it is not looked at again. Absent: it came by a cable.
  struct Carried {
    bool untracked = false;   // by a rule's notrack
    std::uint32_t state = 0;  // a bit of ruleset::ct_state, of a tracked one
  };
  std::optional<Carried> carried;

  // When it passes, in ns since 1970 (`meta time`); absent: not said.
  std::optional<std::uint64_t> time_ns;

  // The conntrack state to take as given, a bit of ruleset::ct_state; absent: what conntrack gives
  // a flow's first packet (conntrack.h).
  std::optional<std::uint32_t> ct_state;
};

inline bool is_ipv6(const Packet& packet) {
  return packet.ether_type == kEtherTypeIpv6;
}

}  // namespace rolewall::eval
