#include "eval/build.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "eval/checksum.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

using Buffer = std::vector<std::uint8_t>;

void append16(Buffer& to, std::uint32_t number) {
  to.push_back(static_cast<std::uint8_t>(number >> 8));
  to.push_back(static_cast<std::uint8_t>(number));
}
void append32(Buffer& to, std::uint32_t number) {
  append16(to, number >> 16);
  append16(to, number);
}
void append(Buffer& to, const Buffer& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

bool is_ipv6(const PacketFields& fields) {
  return !net::is_ipv4(fields.source);
}

Buffer ipv4_header(const PacketFields& fields, std::size_t payload) {
  Buffer header{0x45, static_cast<std::uint8_t>(fields.dscp << 2)};
  append16(header, static_cast<std::uint32_t>(ipv4::kHeaderSize + payload));
  append16(header, 1);  // identification
  append16(header, static_cast<std::uint32_t>(fields.fragment_offset / 8) |
                       (fields.more_fragments ? ipv4::kMoreFragments : 0U) |
                       (fields.dont_fragment ? ipv4::kDontFragment : 0U));
  header.push_back(fields.ttl);
  header.push_back(fields.protocol);
  append16(header, 0);
  append(header, net::to_bytes(fields.source));
  append(header, net::to_bytes(fields.destination));
  put_be16(header.data() + ipv4::kChecksum, internet_checksum(header));
  return header;
}

Buffer ipv6_header(const PacketFields& fields, std::uint8_t next_header, std::size_t payload) {
  Buffer header{static_cast<std::uint8_t>(0x60 | fields.dscp >> 2),
                static_cast<std::uint8_t>(fields.dscp << 6), 0, 0};
  append16(header, static_cast<std::uint32_t>(payload));
  header.push_back(next_header);
  header.push_back(fields.ttl);
  append(header, net::to_bytes(fields.source));
  append(header, net::to_bytes(fields.destination));
  return header;
}

Buffer tcp(const PacketFields& fields) {
  Buffer header;
  append16(header, fields.source_port);
  append16(header, fields.destination_port);
  append32(header, 1);                                       // sequence number
  append32(header, (fields.tcp_flags & 0x10) != 0 ? 1 : 0);  // acknowledgement, where ACK is set
  header.push_back(5 << 4);
  header.push_back(fields.tcp_flags);
  append16(header, 64240);  // window
  append32(header, 0);      // checksum, urgent pointer
  return header;
}

Buffer udp(const PacketFields& fields) {
  Buffer header;
  append16(header, fields.source_port);
  append16(header, fields.destination_port);
  append32(header, 0);  // length and checksum
  return header;
}

// An INIT chunk: the first packet of an association. What is longer is its padding parameter, so
// that no stray bytes are read as further chunks.
Buffer sctp(const PacketFields& fields, std::size_t size) {
  constexpr std::size_t kCommonHeader = 12;
  constexpr std::size_t kInit = 20;
  constexpr std::uint32_t kPaddingParameter = 0x8005;
  const std::size_t padding = size > kCommonHeader + kInit ? size - kCommonHeader - kInit : 0;
  Buffer packet;
  append16(packet, fields.source_port);
  append16(packet, fields.destination_port);
  append32(packet, 0);  // verification tag: zero for INIT
  append32(packet, 0);  // checksum
  append16(packet, 0x0100);
  append16(packet, static_cast<std::uint32_t>(kInit + padding));
  append32(packet, 1);      // initiate tag
  append32(packet, 65536);  // receiver window
  append32(packet, 1 << 16 | 1);
  append32(packet, 1);  // initial TSN
  if (padding >= 4) {
    append16(packet, kPaddingParameter);
    append16(packet, static_cast<std::uint32_t>(padding));
  }
  return packet;
}

// What an ICMP error quotes: the start of a datagram that its receiver might have sent.
Buffer quoted(const PacketFields& fields) {
  PacketFields inner;
  inner.source = fields.destination;
  inner.destination = fields.source;
  inner.protocol = net::protocol::kUdp;
  inner.source_port = 40000;
  inner.destination_port = 53;
  inner.length = 0;
  return build(inner).bytes;
}

Buffer icmp_header(const PacketFields& fields, std::uint32_t rest) {
  Buffer header{fields.icmp_type, fields.icmp_code, 0, 0};
  append32(header, rest);
  return header;
}

Buffer icmp(const PacketFields& fields) {
  switch (fields.icmp_type) {
    case 3:     // destination unreachable
    case 4:     // source quench
    case 5:     // redirect
    case 11:    // time exceeded
    case 12: {  // parameter problem
      Buffer packet = icmp_header(fields, 0);
      append(packet, quoted(fields));
      return packet;
    }
    case 9: {  // router advertisement: no addresses
      return icmp_header(fields, 0x00020708);
    }
    case 13:
    case 14: {  // timestamp: three times follow
      Buffer packet = icmp_header(fields, 1 << 16 | 1);
      packet.resize(20);
      return packet;
    }
    case 17:
    case 18: {  // address mask
      Buffer packet = icmp_header(fields, 1 << 16 | 1);
      packet.resize(12);
      return packet;
    }
    default:  // identifier and sequence number
      return icmp_header(fields, 1 << 16 | 1);
  }
}

Buffer icmpv6(const PacketFields& fields) {
  const Buffer unicast_target =
      net::to_bytes(net::is_multicast(fields.destination) ? fields.source : fields.destination);
  switch (fields.icmp_type) {
    case 1:
    case 2:
    case 3:
    case 4: {
      Buffer packet = icmp_header(fields, fields.icmp_type == 2 ? 1280 : 0);
      append(packet, quoted(fields));
      return packet;
    }
    case 130:
    case 131:
    case 132: {  // MLD: a response delay, then the group
      Buffer packet = icmp_header(fields, fields.icmp_type == 130 ? 1000U << 16 : 0);
      Buffer group = net::to_bytes(fields.destination);
      if (!net::is_multicast(fields.destination))
        std::fill(group.begin(), group.end(), std::uint8_t{0});
      append(packet, group);
      return packet;
    }
    case 133:  // router solicitation
      return icmp_header(fields, 0);
    case 134: {  // router advertisement: hop limit 64, 30 minutes; two timers
      Buffer packet = icmp_header(fields, 0x40000708);
      packet.resize(16);
      return packet;
    }
    case 135:
    case 136: {  // neighbour solicitation and advertisement
      Buffer packet = icmp_header(fields, fields.icmp_type == 136 ? 0x60000000 : 0);
      append(packet, fields.icmp_type == 135 ? unicast_target : net::to_bytes(fields.source));
      return packet;
    }
    case 137: {  // redirect: target, destination
      Buffer packet = icmp_header(fields, 0);
      append(packet, net::to_bytes(fields.source));
      append(packet, unicast_target);
      return packet;
    }
    case 143: {  // MLDv2 report: one record, which changes to exclude mode
      Buffer packet = icmp_header(fields, 1);
      append32(packet, 0x04000000);
      const auto all_nodes = net::to_bytes(net::Ipv6{net::Uint128{0xff02} << 112 | 1});
      packet.insert(packet.end(), all_nodes.begin(), all_nodes.end());
      return packet;
    }
    default:
      return icmp_header(fields, 1 << 16 | 1);
  }
}

// The whole transport part, `size` bytes or what its headers need.
Buffer transport(const PacketFields& fields, std::size_t size) {
  namespace protocol = net::protocol;
  // Where the checksum stands, and whether a pseudo header goes into it.
  std::size_t checksum_at = 0;
  bool pseudo_header = true;
  Buffer bytes;
  switch (fields.protocol) {
    case protocol::kTcp:
      bytes = tcp(fields);
      checksum_at = 16;
      break;
    case protocol::kUdp:
      bytes = udp(fields);
      checksum_at = 6;
      break;
    case protocol::kIcmp:
      bytes = icmp(fields);
      checksum_at = 2;
      pseudo_header = false;
      break;
    case protocol::kIcmpv6:
      bytes = is_ipv6(fields) ? icmpv6(fields) : icmp_header(fields, 1 << 16 | 1);
      checksum_at = 2;
      pseudo_header = is_ipv6(fields);
      break;
    case protocol::kSctp:
      bytes = sctp(fields, size);
      break;
    default:
      break;
  }
  bytes.resize(std::max(bytes.size(), size));
  if (fields.protocol == protocol::kUdp) {
    put_be16(bytes.data() + 4, static_cast<std::uint32_t>(bytes.size()));
  }
  if (fields.protocol == protocol::kSctp) {
    const std::uint32_t wrong = fields.bad_checksum ? 0x5a5a5a5aU : 0U;
    put_be32(bytes.data() + 8, sctp_checksum(bytes) ^ wrong);
  }
  if (checksum_at != 0) {
    std::uint16_t sum = pseudo_header ? transport_checksum(net::to_bytes(fields.source),
                                                           net::to_bytes(fields.destination),
                                                           fields.protocol, bytes)
                                      : internet_checksum(bytes);
    if (fields.bad_checksum) sum ^= 0x5a5a;
    // Zero says "no checksum" in UDP; its complement stands for it.
    if (sum == 0 && fields.protocol == protocol::kUdp) sum = 0xffff;
    put_be16(bytes.data() + checksum_at, sum);
  }
  return bytes;
}

}  // namespace

Packet build(const PacketFields& fields) {
  CHECK(fields.source.index() == fields.destination.index(), "both addresses of one family");
  CHECK(fields.fragment_offset % 8 == 0, "fragment offsets are multiples of 8");
  const bool v6 = is_ipv6(fields);
  const bool fragment = fields.fragment_offset != 0 || fields.more_fragments;
  const std::size_t headers =
      v6 ? ipv6::kHeaderSize + (fragment ? ipv6::kFragmentHeaderSize : 0) : ipv4::kHeaderSize;
  const std::size_t length = std::min(fields.length, kLargestPacket);
  const std::size_t wanted = length > headers ? length - headers : 0;

  // A later fragment carries the middle of the payload, which is zeros here.
  Buffer payload = fields.fragment_offset != 0 ? Buffer(std::max<std::size_t>(wanted, 8))
                                               : transport(fields, wanted);
  if (fields.more_fragments) payload.resize((payload.size() + 7) / 8 * 8);
  if (fields.truncate_transport_to && *fields.truncate_transport_to < payload.size()) {
    payload.resize(*fields.truncate_transport_to);
  }

  Packet packet;
  packet.ether_type = v6 ? kEtherTypeIpv6 : kEtherTypeIpv4;
  if (!v6) {
    packet.bytes = ipv4_header(fields, payload.size());
  } else if (!fragment) {
    packet.bytes = ipv6_header(fields, fields.protocol, payload.size());
  } else {
    packet.bytes =
        ipv6_header(fields, ipv6::kFragmentHeader, payload.size() + ipv6::kFragmentHeaderSize);
    packet.bytes.push_back(fields.protocol);
    packet.bytes.push_back(0);
    append16(packet.bytes, fields.fragment_offset | (fields.more_fragments ? 1U : 0U));
    append32(packet.bytes, 1);  // identification
  }
  append(packet.bytes, payload);
  return packet;
}

}  // namespace rolewall::eval
