#include "ask/packet_parts.h"

#include <algorithm>

#include "ask/translations.h"
#include "eval/checksum.h"
#include "eval/dissect.h"
#include "eval/fragments.h"
#include "eval/route.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {

std::optional<Sample> sample_of(const eval::Packet& packet) {
  const eval::ByteSpan bytes = packet.bytes;
  const bool ipv6 = is_ipv6(packet);
  const auto headers = ipv6 ? eval::dissect_ipv6_checked(bytes) : eval::dissect_ipv4_checked(bytes);
  if (!headers || !headers->has_protocol) return std::nullopt;
  Sample sample;
  eval::PacketFields& fields = sample.fields;
  if (ipv6) {
    fields.source = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kSource);
    fields.destination = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kDestination);
    fields.ttl = bytes[eval::ipv6::kHopLimit];
  } else {
    fields.source = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kSource);
    fields.destination = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kDestination);
    fields.ttl = bytes[eval::ipv4::kTtl];
  }
  fields.protocol = headers->protocol;
  fields.length = static_cast<std::uint32_t>(bytes.size());
  if (headers->fragment_offset != 0) {
    const unsigned unit = ipv6 ? 1 : 8;
    fields.fragment_offset = static_cast<std::uint16_t>(headers->fragment_offset * unit);
    return sample;
  }
  const eval::ByteSpan transport =
      bytes.subspan(std::min<std::size_t>(headers->transport, bytes.size()));
  if (net::has_ports(fields.protocol)) {
    if (transport.size() < 4) return std::nullopt;
    fields.source_port = eval::be16(transport.data());
    fields.destination_port = eval::be16(transport.data() + 2);
    if (fields.protocol == net::protocol::kTcp && transport.size() >= 14) {
      fields.tcp_flags = transport[13];
    }
  } else if (transport.size() >= 2) {
    fields.icmp_type = transport[0];
    fields.icmp_code = transport[1];
  }
  return sample;
}

bool is_fragment(const eval::Packet& packet) {
  const bool ipv6 = is_ipv6(packet);
  return ipv6 ? eval::has_fragment_header(packet.bytes) : eval::is_ipv4_fragment(packet.bytes);
}

bool has_header(const eval::Packet& packet) {
  const std::size_t header = is_ipv6(packet) ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  return packet.bytes.size() >= header + packet.missing;
}

bool awaits_checksum(const eval::Packet& packet) {
  const eval::ByteSpan bytes = packet.bytes;
  const bool ipv6 = is_ipv6(packet);
  const auto headers = ipv6 ? eval::dissect_ipv6_checked(bytes) : eval::dissect_ipv4_checked(bytes);
  if (!headers || !headers->has_protocol || headers->fragment_offset != 0) return false;
  const bool tcp = headers->protocol == net::protocol::kTcp;
  if (!tcp && headers->protocol != net::protocol::kUdp) return false;
  const std::size_t field = headers->transport + (tcp ? 16U : 6U);
  if (!eval::readable(bytes, field, 2)) return false;
  const std::size_t addresses = ipv6 ? eval::ipv6::kSource : eval::ipv4::kSource;
  std::uint32_t sum = headers->protocol + static_cast<std::uint32_t>(bytes.size()) -
                      static_cast<std::uint32_t>(headers->transport);
  for (std::size_t at = 0; at < (ipv6 ? 32U : 8U); at += 2) {
    sum += eval::be16(bytes.data() + addresses + at);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return eval::be16(bytes.data() + field) == sum;
}

std::vector<std::uint8_t> content(const eval::Packet& packet) {
  std::vector<std::uint8_t> bytes = packet.bytes;
  const auto blank = [&](std::size_t at) {
    if (eval::readable(bytes, at, 2)) eval::put_be16(bytes.data() + at, 0);
  };
  const bool ipv6 = is_ipv6(packet);
  if (!ipv6) blank(eval::ipv4::kChecksum);
  const auto headers = ipv6 ? eval::dissect_ipv6_checked(bytes) : eval::dissect_ipv4_checked(bytes);
  if (!headers || !headers->has_protocol) return bytes;
  switch (headers->protocol) {
    case net::protocol::kTcp:
      blank(headers->transport + 16U);
      break;
    case net::protocol::kUdp:
    case net::protocol::kUdpLite:
      blank(headers->transport + 6U);
      break;
    case net::protocol::kIcmp:
    case net::protocol::kIcmpv6:
      blank(headers->transport + 2U);
      break;
    default:
      break;
  }
  return bytes;
}

// DHCP's clients send by packet sockets, past output and postrouting (packet_sendmsg()), which is
// how they can have no address yet.
bool asks_for_an_address(const eval::Packet& packet) {
  constexpr std::uint16_t kClient = 68;
  constexpr std::uint16_t kServer = 67;
  if (is_ipv6(packet)) return false;
  const eval::Dissection headers = eval::dissect_ipv4(packet.bytes);
  if (headers.protocol != net::protocol::kUdp || headers.fragment_offset != 0 ||
      !eval::readable(packet.bytes, headers.transport, 4)) {
    return false;
  }
  const std::uint8_t* ports = packet.bytes.data() + headers.transport;
  return eval::be16(ports) == kClient && eval::be16(ports + 2) == kServer;
}

// What no router passes on, from nobody or to all on the link, the host itself has sent.
bool may_be_forwarded(const eval::Packet& packet) {
  const net::Address from = source_of(packet);
  const net::Address to = destination_of(packet);
  const bool stays = is_ipv6(packet) && (eval::is_link_local(from) || eval::is_link_local(to));
  return !net::is_unspecified(from) && !net::is_limited_broadcast(to) && !stays;
}

// What programs send has somebody who sends it, whom rules can tell; what the kernel itself answers
// and announces has not.
bool is_sent_by_program(const eval::Packet& packet) {
  namespace protocol = net::protocol;
  constexpr std::size_t kFlags = 13;
  constexpr std::uint8_t kReset = 0x04;
  if (packet.user || packet.group || !packet.in_device.empty()) return false;
  const bool ipv6 = is_ipv6(packet);
  const auto headers = ipv6 ? eval::dissect_ipv6(packet.bytes) : eval::dissect_ipv4(packet.bytes);
  if (!headers.has_protocol || headers.fragment_offset != 0) return false;
  const auto byte = [&](std::size_t offset) {
    const std::size_t at = headers.transport + offset;
    return at < packet.bytes.size() ? packet.bytes[at] : std::uint8_t{0};
  };
  switch (headers.protocol) {
    case protocol::kTcp:
      return (byte(kFlags) & kReset) == 0;
    case protocol::kUdp:
    case protocol::kUdpLite:
    case protocol::kSctp:
      return true;
    case protocol::kIcmp:
      return byte(0) == 8;  // an echo request
    case protocol::kIcmpv6:
      return byte(0) == 128;
    default:
      return false;
  }
}

}  // namespace rolewall::ask
