#include "eval/dissect.h"

#include "net/protocol.h"

namespace rolewall::eval {
namespace {

constexpr std::uint8_t kIpInIp = 4;

// Units of 8 bytes, without the first; of 4 bytes less two in an authentication header.
std::size_t extension_size(std::uint8_t type, const std::uint8_t* header) {
  switch (type) {
    case ipv6::kFragmentHeader:
      return 8;
    case ipv6::kAuthentication:
      return (header[1] + std::size_t{2}) * 4;
    default:
      return (header[1] + std::size_t{1}) * 8;
  }
}

// ipv6_find_hdr() with target -1 and IP6_FH_F_AUTH.
Dissection walk_ipv6(ByteSpan packet) {
  const Dissection unknown;
  std::uint8_t next = packet[ipv6::kNextHeader];
  std::size_t at = ipv6::kHeaderSize;
  while (is_ipv6_extension(next) && next != ipv6::kNoNextHeader) {
    if (!readable(packet, at, 2)) return unknown;
    const std::uint8_t* header = packet.data() + at;
    if (next == ipv6::kAuthentication) break;
    if (next == ipv6::kRouting && !readable(packet, at, 4)) return unknown;
    if (next == ipv6::kFragmentHeader) {
      if (!readable(packet, at, 4)) return unknown;
      const std::uint16_t offset = be16(header + 2) & 0xfff8;
      if (offset != 0) {
        // A later fragment: the protocol is the fragment header's word for it, and the transport
        // offset is left at the packet's start.
        if (is_ipv6_extension(header[0]) && header[0] != ipv6::kNoNextHeader) return unknown;
        return {
            .has_protocol = true, .protocol = header[0], .transport = 0, .fragment_offset = offset};
      }
    }
    at += extension_size(next, header);
    next = header[0];
  }
  if (at > 0xffff) return unknown;
  return {.has_protocol = true,
          .protocol = next,
          .transport = static_cast<std::uint32_t>(at),
          .fragment_offset = 0};
}

}  // namespace

bool is_ipv6_extension(std::uint8_t next_header) {
  switch (next_header) {
    case ipv6::kHopByHop:
    case ipv6::kRouting:
    case ipv6::kFragmentHeader:
    case ipv6::kAuthentication:
    case ipv6::kNoNextHeader:
    case ipv6::kDestinationOptions:
      return true;
    default:
      return false;
  }
}

Dissection dissect_ipv4(ByteSpan packet) {
  return {.has_protocol = true,
          .protocol = packet[ipv4::kProtocol],
          .transport = static_cast<std::uint32_t>(ipv4::header_size(packet)),
          .fragment_offset = static_cast<std::uint16_t>(be16(packet.data() + ipv4::kFragment) &
                                                        ipv4::kOffsetMask)};
}

Dissection dissect_ipv6(ByteSpan packet) {
  return walk_ipv6(packet);
}

std::optional<Dissection> dissect_ipv4_checked(ByteSpan packet) {
  if (packet.size() < ipv4::kHeaderSize || packet[0] >> 4 != 4) return std::nullopt;
  const std::size_t header = ipv4::header_size(packet);
  const std::size_t length = be16(packet.data() + ipv4::kTotalLength);
  if (header < ipv4::kHeaderSize || packet.size() < length || length < header) return std::nullopt;
  return dissect_ipv4(packet);
}

std::optional<Dissection> dissect_ipv6_checked(ByteSpan packet) {
  if (packet.size() < ipv6::kHeaderSize || packet[0] >> 4 != 6) return std::nullopt;
  const std::size_t payload = be16(packet.data() + ipv6::kPayloadLength);
  if (payload + ipv6::kHeaderSize > packet.size()) return std::nullopt;
  const Dissection dissection = walk_ipv6(packet);
  if (!dissection.has_protocol) return std::nullopt;
  return dissection;
}

std::optional<std::uint32_t> inner_offset(ByteSpan packet, const Dissection& dissection) {
  if (!dissection.has_protocol || dissection.fragment_offset != 0) return std::nullopt;
  const std::uint32_t transport = dissection.transport;
  switch (dissection.protocol) {
    case net::protocol::kUdp:
      return transport + 8;
    case net::protocol::kTcp:
      if (!readable(packet, transport, 20)) return std::nullopt;
      return transport + (packet[transport + 12] >> 4) * 4U;
    case net::protocol::kGre: {
      if (!readable(packet, transport, 4)) return std::nullopt;
      const std::uint16_t flags = be16(packet.data() + transport);
      enum : std::uint16_t {
        kChecksum = 0x8000,
        kRouting = 0x4000,
        kKey = 0x2000,
        kSequence = 0x1000,
        kVersion = 0x0007,
      };
      if ((flags & (kVersion | kRouting)) != 0) return std::nullopt;
      return transport + 4U + ((flags & kChecksum) != 0 ? 4U : 0U) +
             ((flags & kKey) != 0 ? 4U : 0U) + ((flags & kSequence) != 0 ? 4U : 0U);
    }
    case kIpInIp:
      return transport;
    default:
      return std::nullopt;
  }
}

std::optional<Ipv6Transport> skip_ipv6_extensions(ByteSpan packet, std::size_t start,
                                                  std::uint8_t next_header) {
  Ipv6Transport found{.protocol = next_header, .offset = start, .fragment = 0};
  while (is_ipv6_extension(found.protocol)) {
    if (found.protocol == ipv6::kNoNextHeader) return std::nullopt;
    if (!readable(packet, found.offset, 2)) return std::nullopt;
    const std::uint8_t* header = packet.data() + found.offset;
    if (found.protocol == ipv6::kFragmentHeader) {
      if (!readable(packet, found.offset, 4)) return std::nullopt;
      found.fragment = be16(header + 2);
      if ((found.fragment & 0xfff8) != 0) return found;
    }
    found.offset += extension_size(found.protocol, header);
    found.protocol = header[0];
  }
  return found;
}

}  // namespace rolewall::eval
