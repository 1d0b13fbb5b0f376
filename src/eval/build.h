// Packets from fields: headers with right lengths and checksums, in either family. What is named
// wrong on purpose (a truncated header, a fragment) is asked for by its own field.
#pragma once

#include <cstdint>
#include <optional>

#include "eval/packet.h"
#include "net/address.h"

namespace rolewall::eval {

struct PacketFields {
  net::Address source;  // both of one family
  net::Address destination;
  std::uint8_t protocol = 6;
  std::uint16_t source_port = 40000;  // tcp, udp, sctp
  std::uint16_t destination_port = 0;
  std::uint8_t tcp_flags = 0x02;  // SYN
  std::uint8_t icmp_type = 8;     // icmp, icmpv6
  std::uint8_t icmp_code = 0;
  std::uint8_t ttl = 64;
  std::uint32_t length = 64;   // of the IP packet; raised to what the headers need
  std::uint8_t dscp = 0;       // six bits
  bool dont_fragment = false;  // IPv4's bit

  // A fragment: offset in bytes (a multiple of 8) and whether more follow.
  std::uint16_t fragment_offset = 0;
  bool more_fragments = false;
  // Cut the packet to this many bytes after the network header, its length field adjusted.
  std::optional<std::uint32_t> truncate_transport_to;
  bool bad_checksum = false;
};

Packet build(const PacketFields& fields);

}  // namespace rolewall::eval
