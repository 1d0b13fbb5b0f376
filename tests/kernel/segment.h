// Packets of a conversation: every field that connection tracking looks at can be said.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "eval/packet.h"
#include "net/address.h"

namespace rolewall::kernel_judge {

using Bytes = std::vector<std::uint8_t>;

enum TcpFlag : std::uint8_t { kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16 };

struct TcpSegment {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t ack = 0;
  std::uint8_t flags = kSyn;
  std::uint16_t window = 0;
  Bytes options{};  // a multiple of 4 bytes
  std::uint32_t data = 0;
};

// Transport headers and what follows, without a checksum yet.
Bytes tcp(const TcpSegment& segment);
Bytes udp(std::uint16_t source_port, std::uint16_t destination_port, std::uint32_t data);
Bytes icmp(std::uint8_t type, std::uint8_t code, std::array<std::uint8_t, 4> rest,
           std::span<const std::uint8_t> data);

// The IP packet around a transport protocol's bytes, whose checksum is filled in.
Bytes datagram(const net::Address& source, const net::Address& destination, std::uint8_t protocol,
               Bytes transport, std::uint8_t ttl = 64);

// Who speaks in a packet: addresses, protocol, and the ports (or ICMP's identifier, twice) as they
// stand in it. All of one that datagram() made.
struct Speaker {
  net::Address source;
  net::Address destination;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};
// Or with a header of options, or IPv4's options, before the transport protocol.
bool has_options(std::span<const std::uint8_t> packet);
Speaker speaker_of(std::span<const std::uint8_t> packet);

}  // namespace rolewall::kernel_judge
