// What translation does to a packet's bytes: nf_nat_manip_pkt() of net/netfilter/nf_nat_proto.c,
// for the packets of a flow and for what ICMP errors quote of them.
#include <algorithm>
#include <cstddef>
#include <span>

#include "eval/checksum.h"
#include "eval/dissect.h"
#include "eval/nat.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;
using ruleset::NatKind;
using Bytes = std::span<std::uint8_t>;

constexpr std::uint8_t kRedirect = 5;     // ICMP_REDIRECT
constexpr std::uint8_t kRedirect6 = 137;  // NDISC_REDIRECT
// Transport headers that ICMP errors quote are whole to here alone.
constexpr std::size_t kQuotedHeader = 8;

NatKind other(NatKind kind) {
  return kind == NatKind::Source ? NatKind::Destination : NatKind::Source;
}

void replace(std::uint8_t* at, ByteSpan with, std::uint8_t* checksum) {
  if (checksum != nullptr)
    put_be16(checksum, mended_checksum(be16(checksum), {at, with.size()}, with));
  std::ranges::copy(with, at);
}

// One half of one header: what stands there, and what shall.
struct Change {
  const Tuple& target;
  NatKind kind;
  std::uint8_t* address;  // in the IP header

  ByteSpan new_address() const {
    return ByteSpan(kind == NatKind::Source ? target.source : target.destination)
        .first(target.ipv6 ? 16 : 4);
  }
  ByteSpan new_port() const {
    return kind == NatKind::Source ? target.source_port : target.destination_port;
  }
  std::size_t port_offset() const { return kind == NatKind::Source ? 0 : 2; }
  // nf_csum_update()
  void mend(std::uint8_t* checksum) const {
    const ByteSpan is = new_address();
    put_be16(checksum, mended_checksum(be16(checksum), {address, is.size()}, is));
  }
};

bool rewrite_ports(Bytes transport, const Change& change, std::size_t whole_header,
                   std::size_t checksum_offset) {
  if (transport.size() < kQuotedHeader) return false;
  std::uint8_t* checksum = nullptr;
  if (transport.size() >= whole_header) {
    checksum = transport.data() + checksum_offset;
    change.mend(checksum);
  }
  replace(transport.data() + change.port_offset(), change.new_port(), checksum);
  return true;
}

bool rewrite_udp(Bytes transport, const Change& change, bool has_checksum) {
  if (transport.size() < 8) return false;
  std::uint8_t* checksum = has_checksum ? transport.data() + 6 : nullptr;
  if (checksum != nullptr) change.mend(checksum);
  replace(transport.data() + change.port_offset(), change.new_port(), checksum);
  // Zero would say that there is no checksum.
  if (checksum != nullptr && be16(checksum) == 0) put_be16(checksum, 0xffff);
  return true;
}

bool rewrite_sctp(Bytes transport, const Change& change) {
  constexpr std::size_t kHeader = 12;
  if (transport.size() < kQuotedHeader) return false;
  replace(transport.data() + change.port_offset(), change.new_port(), nullptr);
  if (transport.size() >= kHeader) put_be32(transport.data() + 8, sctp_checksum(transport));
  return true;
}

// Queries have an identifier; the checksum of ICMP does not cover the addresses.
bool rewrite_icmp(Bytes transport, const Change& change) {
  if (transport.size() < 8) return false;
  const std::uint8_t type = transport[0];
  const bool query = type == 0 || type == 8 || (type >= 13 && type <= 18);
  if (query) replace(transport.data() + 4, change.target.source_port, transport.data() + 2);
  return true;
}

bool rewrite_icmpv6(Bytes transport, const Change& change) {
  if (transport.size() < 8) return false;
  std::uint8_t* checksum = transport.data() + 2;
  change.mend(checksum);
  if (transport[0] == 128 || transport[0] == 129) {
    replace(transport.data() + 4, change.target.source_port, checksum);
  }
  return true;
}

// gre_manip_pkt(): of version 1, PPTP's, the call id of the one who is called.
bool rewrite_gre(Bytes transport, const Change& change) {
  constexpr std::uint16_t kVersion = 0x0007;
  if (transport.size() < 8) return false;
  if (change.kind != NatKind::Destination) return true;
  const unsigned version = be16(transport.data()) & kVersion;
  if (version == 1) replace(transport.data() + 6, change.new_port(), nullptr);
  return version <= 1;
}

bool rewrite_transport(Bytes transport, const Change& change, std::uint8_t protocol) {
  switch (protocol) {
    case protocol::kTcp:
      return rewrite_ports(transport, change, 20, 16);
    case protocol::kUdp:
      return rewrite_udp(transport, change,
                         transport.size() >= 8 && be16(transport.data() + 6) != 0);
    case protocol::kUdpLite:
      return rewrite_udp(transport, change, true);
    case protocol::kSctp:
      return rewrite_sctp(transport, change);
    case protocol::kIcmp:
      return rewrite_icmp(transport, change);
    case protocol::kIcmpv6:
      return rewrite_icmpv6(transport, change);
    case protocol::kGre:
      return rewrite_gre(transport, change);
    default:
      return true;
  }
}

// nf_nat_ipv4_manip_pkt(), nf_nat_ipv6_manip_pkt(): the IP packet at `bytes`, to its end.
bool rewrite(Bytes bytes, const Tuple& target, NatKind kind, std::uint8_t protocol) {
  const bool source = kind == NatKind::Source;
  if (target.ipv6) {
    if (bytes.size() < ipv6::kHeaderSize) return false;
    const Change change{target, kind, bytes.data() + (source ? ipv6::kSource : ipv6::kDestination)};
    const auto found = skip_ipv6_extensions(bytes, ipv6::kHeaderSize, bytes[ipv6::kNextHeader]);
    if (found && (found->fragment & 0xfff8) == 0 &&
        !rewrite_transport(bytes.subspan(std::min(found->offset, bytes.size())), change,
                           protocol)) {
      return false;
    }
    replace(change.address, change.new_address(), nullptr);
    return true;
  }
  if (bytes.size() < ipv4::kHeaderSize) return false;
  const Change change{target, kind, bytes.data() + (source ? ipv4::kSource : ipv4::kDestination)};
  const std::size_t transport = std::min(ipv4::header_size(bytes), bytes.size());
  if (!rewrite_transport(bytes.subspan(transport), change, protocol)) return false;
  replace(change.address, change.new_address(), bytes.data() + ipv4::kChecksum);
  return true;
}

// Whether this hook's part of the translation is for this packet: a reply's source is what the
// request's destination became.
bool is_translated(const Flow& flow, NatKind kind) {
  const bool by_source_nat = (kind == NatKind::Source) != flow.is_reply;
  const std::uint32_t bit = by_source_nat ? flow_status::kSourceNat : flow_status::kDestinationNat;
  return (flow.status & bit) != 0;
}

// The checksum of the ICMP message as it should be, with its own field taken as it is: zero where
// that is right.
std::uint16_t icmp_checksum(ByteSpan packet, ByteSpan message, bool ipv6) {
  if (!ipv6) return internet_checksum(message);
  return transport_checksum(packet.subspan(ipv6::kSource, 16),
                            packet.subspan(ipv6::kDestination, 16), protocol::kIcmpv6, message);
}

}  // namespace

bool translate(Frame& frame) {
  const Flow& flow = frame.flow;
  const NatKind kind = kind_at(frame.hook);
  if (flow.tracking != Tracking::Entry || !is_translated(flow, kind)) return true;
  const Tuple target = invert(flow.is_reply ? flow.tuple : flow.reply);
  return rewrite(frame.own_bytes(), target, kind, target.protocol);
}

bool give_tuple(Bytes packet, const Tuple& tuple) {
  return rewrite(packet, tuple, NatKind::Source, tuple.protocol) &&
         rewrite(packet, tuple, NatKind::Destination, tuple.protocol);
}

bool translate_error(Frame& frame, bool trust_checksums) {
  const Flow& flow = frame.flow;
  const bool ipv6 = frame.ipv6;
  const Dissection headers = ipv6 ? dissect_ipv6(frame.bytes) : dissect_ipv4(frame.bytes);
  const std::size_t at = headers.transport;
  const std::size_t quoted = at + kQuotedHeader;
  if (!readable(frame.bytes, quoted, ipv6 ? ipv6::kHeaderSize : ipv4::kHeaderSize)) return false;
  // Also of what needs no translation, and where conntrack is told not to look.
  if (!trust_checksums && icmp_checksum(frame.bytes, frame.bytes.subspan(at), ipv6) != 0) {
    return false;
  }
  if (frame.bytes[at] == (ipv6 ? kRedirect6 : kRedirect)) {
    constexpr std::uint32_t kDone = flow_status::kSourceNatDone | flow_status::kDestinationNatDone;
    constexpr std::uint32_t kAny = flow_status::kSourceNat | flow_status::kDestinationNat;
    if ((flow.status & kDone) != kDone || (flow.status & kAny) != 0) return false;
  }
  const NatKind kind = kind_at(frame.hook);
  if (!is_translated(flow, kind)) return true;

  const Tuple& other_way = flow.is_reply ? flow.tuple : flow.reply;
  const Bytes bytes = frame.own_bytes();
  if (!rewrite(bytes.subspan(quoted), other_way, other(kind), other_way.protocol)) return false;
  const Bytes message = bytes.subspan(at);
  put_be16(message.data() + 2, 0);
  put_be16(message.data() + 2, icmp_checksum(bytes, message, ipv6));
  return rewrite(bytes, invert(other_way), kind, ipv6 ? protocol::kIcmpv6 : protocol::kIcmp);
}

}  // namespace rolewall::eval
