// Whether a packet begins a flow, and which: nf_conntrack_in() of Linux 6.12 with an empty table.
//
// The kernel goes four steps. Where one fails, there is no entry, and `ct state` reads invalid.
//
//   get_l4proto()                  where the transport header is     find_transport()
//   nf_conntrack_handle_icmp()     ICMP alone: broken, or about a flow; of IPv6, a kind that is
//                                  never tracked                    icmp_error(), and in
//                                                                   track_first_packet()
//   resolve_normal_ct()            the tuple, and an entry for it    make_tuple()
//   nf_conntrack_handle_packet()   whether the protocol lets a flow begin with this packet:
//                                  first_*_error(), a switch by protocol as the kernel's
//
// Here the protocol is asked before the tuple is made. That is the same: either failure leaves the
// packet without an entry, and no step changes what another sees. (Only the reason that is given
// differs, where both fail.)
//
// Why it is right for one packet: with an empty table nothing that the packet says can refer to
// anything, so each protocol's answer is a function of its bytes. What earlier packets have made is
// tracker.cc's, which asks header_error() first: what holds of any packet, known flow or not.
//
//   make_tuple()            nf_ct_get_tuple()
//   invert()                nf_ct_invert_tuple()
//   tuple_of()              nf_ct_get_tuplepr()
//   first_tcp_error()       tcp_error(), then tcp_new(): row by row the column sNO of
//                           tcp_conntracks[IP_CT_DIR_ORIGINAL]; all but sSS and sES is sIV
//   first_udp_error()       udp_error()
//   first_udplite_error()   udplite_error()
//   icmp_error()            nf_conntrack_icmpv4_error()
//   first_icmp_error()      nf_conntrack_icmp_packet()'s valid_new[]
//   is_untracked_icmpv6()   noct_valid_new[] of nf_conntrack_proto_icmpv6.c
//   first_icmpv6_error()    nf_conntrack_icmpv6_packet()'s valid_new[]
//   first_sctp_error()      sctp_error(), then sctp_new() in conntrack_sctp.cc
//   (all others)            generic_packet(), which takes everything
//   packet_in_redirect()    nf_conntrack_icmpv6_redirect()
#include "eval/conntrack.h"

#include <algorithm>
#include <optional>

#include "eval/checksum.h"
#include "eval/dissect.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

// The packet with its transport header found.
struct Datagram {
  ByteSpan packet;
  bool ipv6 = false;
  std::uint8_t protocol = 0;
  std::size_t offset = 0;  // of the transport header; may lie behind the end
  Checksums checksums = Checksums::Verify;

  ByteSpan source() const {
    return ipv6 ? packet.subspan(ipv6::kSource, 16) : packet.subspan(ipv4::kSource, 4);
  }
  ByteSpan destination() const {
    return ipv6 ? packet.subspan(ipv6::kDestination, 16) : packet.subspan(ipv4::kDestination, 4);
  }
  ByteSpan transport() const {
    return offset <= packet.size() ? packet.subspan(offset) : ByteSpan{};
  }
};

// get_l4proto(). Fragments have been put together before; what still is one has no flow.
std::optional<Datagram> find_transport(ByteSpan packet, bool ipv6, Checksums checksums) {
  Datagram datagram{.packet = packet, .ipv6 = ipv6, .checksums = checksums};
  if (ipv6) {
    const auto found = skip_ipv6_extensions(packet, ipv6::kHeaderSize, packet[ipv6::kNextHeader]);
    if (!found || (found->fragment & 0xfff8) != 0) return std::nullopt;
    datagram.protocol = found->protocol;
    datagram.offset = found->offset;
    return datagram;
  }
  if ((be16(packet.data() + ipv4::kFragment) & ipv4::kOffsetMask) != 0) return std::nullopt;
  datagram.protocol = packet[ipv4::kProtocol];
  datagram.offset = ipv4::header_size(packet);
  if (datagram.offset > packet.size()) return std::nullopt;
  return datagram;
}

// --- the tuple ---------------------------------------------------------------------------------

// gre_pkt_to_tuple(): PPTP's version 1 has a call id, and must carry PPP.
bool gre_tuple(ByteSpan gre, Tuple& tuple) {
  constexpr std::uint16_t kVersion = 0x0007;
  constexpr std::uint16_t kPpp = 0x880b;
  if (gre.size() < 4 || (be16(gre.data()) & kVersion) != 1) return true;
  if (gre.size() < 8) return true;
  if (be16(gre.data() + 2) != kPpp) return false;
  std::copy_n(gre.data() + 6, 2, tuple.destination_port.begin());
  return true;
}

// nf_ct_get_tuple().
bool make_tuple(const Datagram& datagram, Tuple& tuple) {
  tuple = {};
  tuple.ipv6 = datagram.ipv6;
  tuple.protocol = datagram.protocol;
  std::ranges::copy(datagram.source(), tuple.source.begin());
  std::ranges::copy(datagram.destination(), tuple.destination.begin());
  const ByteSpan transport = datagram.transport();
  switch (datagram.protocol) {
    case protocol::kIcmp:
    case protocol::kIcmpv6:
      if (transport.size() < 8) return false;
      std::copy_n(transport.data() + 4, 2, tuple.source_port.begin());
      std::copy_n(transport.data(), 2, tuple.destination_port.begin());
      return true;
    case protocol::kGre:
      return gre_tuple(transport, tuple);
    case protocol::kTcp:
    case protocol::kUdp:
    case protocol::kUdpLite:
    case protocol::kSctp:
      if (transport.size() < 4) return false;
      std::copy_n(transport.data(), 2, tuple.source_port.begin());
      std::copy_n(transport.data() + 2, 2, tuple.destination_port.begin());
      return true;
    default:
      return true;
  }
}

// The type that answers an ICMP type, or none: nf_conntrack_invert_icmp_tuple() and its ICMPv6
// sister.
std::optional<std::uint8_t> answering_type(std::uint8_t protocol, std::uint8_t type) {
  constexpr std::array<std::array<std::uint8_t, 2>, 4> kIcmp{
      {{8, 0}, {13, 14}, {15, 16}, {17, 18}}};
  constexpr std::array<std::array<std::uint8_t, 2>, 2> kIcmpv6{{{128, 129}, {139, 140}}};
  const auto search = [type](const auto& pairs) -> std::optional<std::uint8_t> {
    for (const auto& [ask, answer] : pairs) {
      if (type == ask) return answer;
      if (type == answer) return ask;
    }
    return std::nullopt;
  };
  return protocol == protocol::kIcmp ? search(kIcmp) : search(kIcmpv6);
}

// --- the protocols: null where the packet begins a flow, else what is wrong ---------------------

bool checksum_is_wrong(const Datagram& datagram, bool pseudo_header) {
  if (datagram.checksums == Checksums::Trust) return false;
  const std::uint16_t sum = pseudo_header
                                ? transport_checksum(datagram.source(), datagram.destination(),
                                                     datagram.protocol, datagram.transport())
                                : internet_checksum(datagram.transport());
  return sum != 0;
}

// tcp_error().
const char* tcp_error(const Datagram& datagram) {
  const ByteSpan tcp = datagram.transport();
  if (tcp.size() < 20) return "the TCP header is cut off";
  const std::size_t header = std::size_t{tcp[12]} / 16 * 4;
  if (header < 20 || tcp.size() < header) return "the TCP header's length is wrong";
  if (checksum_is_wrong(datagram, true)) return "the TCP checksum is wrong";
  // tcp_valid_flags[]: PSH, ECE and CWR are always allowed.
  switch (tcp[13] & (kFin | kSyn | kRst | kAck | kUrg)) {
    case kSyn:
    case kSyn | kUrg:
    case kSyn | kAck:
    case kRst:
    case kRst | kAck:
    case kFin | kAck:
    case kFin | kAck | kUrg:
    case kAck:
    case kAck | kUrg:
      return nullptr;
    default:
      return "no TCP packet has these flags";
  }
}

// tcp_new().
const char* first_tcp_error(const Datagram& datagram) {
  if (const char* error = tcp_error(datagram)) return error;
  switch (datagram.transport()[13] & (kFin | kSyn | kRst | kAck | kUrg)) {
    case kSyn:
    case kSyn | kUrg:
    case kAck:
    case kAck | kUrg:
      return nullptr;  // a SYN begins a connection; an ACK is taken for the middle of one
    case kSyn | kAck:
      return "a SYN+ACK without a SYN before it";
    case kRst:
    case kRst | kAck:
      return "a RST without a connection";
    case kFin | kAck:
    case kFin | kAck | kUrg:
      return "a FIN without a connection";
    default:
      return "no TCP packet has these flags";
  }
}

// udp_error().
const char* first_udp_error(const Datagram& datagram) {
  const ByteSpan udp = datagram.transport();
  if (udp.size() < 8) return "the UDP header is cut off";
  const std::size_t length = be16(udp.data() + 4);
  if (length > udp.size() || length < 8) return "the UDP length is wrong";
  if (be16(udp.data() + 6) == 0) return nullptr;  // no checksum
  return checksum_is_wrong(datagram, true) ? "the UDP checksum is wrong" : nullptr;
}

// udplite_error().
const char* first_udplite_error(const Datagram& datagram) {
  const ByteSpan udp = datagram.transport();
  if (udp.size() < 8) return "the UDP-Lite header is cut off";
  std::size_t coverage = be16(udp.data() + 4);
  if (coverage == 0) {
    coverage = udp.size();
  } else if (coverage < 8 || coverage > udp.size()) {
    return "the UDP-Lite checksum coverage is wrong";
  }
  if (be16(udp.data() + 6) == 0) return "UDP-Lite needs a checksum";
  if (datagram.checksums == Checksums::Trust) return nullptr;
  // nf_checksum_partial(). With full coverage the kernel sums as for TCP. (The protocol in its
  // pseudo header is UDP's, so a right UDP-Lite checksum is wrong to conntrack.)
  const std::uint16_t sum =
      transport_checksum(datagram.source(), datagram.destination(), protocol::kUdp,
                         static_cast<std::uint32_t>(udp.size()), udp.first(coverage));
  return sum != 0 ? "the UDP-Lite checksum is wrong" : nullptr;
}

// nf_conntrack_icmpv4_error().
const char* icmp_error(const Datagram& datagram) {
  constexpr std::uint8_t kHighestKnown = 18;  // NR_ICMP_TYPES
  if (datagram.ipv6) return "ICMP over IPv6";
  const ByteSpan icmp = datagram.transport();
  if (icmp.size() < 8) return "the ICMP header is cut off";
  if (checksum_is_wrong(datagram, false)) return "the ICMP checksum is wrong";
  return icmp[0] > kHighestKnown ? "the ICMP type is unknown" : nullptr;
}

// valid_new[] of nf_conntrack_icmp_packet().
const char* first_icmp_error(const Datagram& datagram) {
  if (const char* error = icmp_error(datagram)) return error;
  switch (datagram.transport()[0]) {
    case 8:
    case 13:
    case 15:
    case 17:
      return nullptr;
    case 3:
    case 4:
    case 5:
    case 11:
    case 12:
      return "an ICMP error about an unknown connection";
    default:
      return "an ICMP message that cannot begin a connection";
  }
}

// Neighbour discovery and multicast listener discovery are never tracked: noct_valid_new[].
bool is_untracked_icmpv6(std::uint8_t type) {
  return (type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152;
}

// valid_new[] of nf_conntrack_icmpv6_packet().
const char* first_icmpv6_error(const Datagram& datagram) {
  if (!datagram.ipv6) return "ICMPv6 over IPv4";
  const std::uint8_t type = datagram.transport()[0];
  if (type == 128 || type == 139) return nullptr;
  return type < 128 ? "an ICMPv6 error about an unknown connection"
                    : "an ICMPv6 message that cannot begin a connection";
}

const char* first_sctp_error(const Datagram& datagram) {
  const ByteSpan sctp = datagram.transport();
  if (sctp.size() < 12) return "the SCTP header is cut off";
  if (datagram.checksums == Checksums::Verify && be32(sctp.data() + 8) != sctp_checksum(sctp)) {
    return "the SCTP checksum is wrong";
  }
  return first_sctp_packet_error(sctp);
}

}  // namespace

Tuple invert(const Tuple& tuple) {
  Tuple reply = tuple;
  std::swap(reply.source, reply.destination);
  if (tuple.protocol == protocol::kIcmp || tuple.protocol == protocol::kIcmpv6) {
    const auto type = answering_type(tuple.protocol, tuple.destination_port[0]);
    if (type) reply.destination_port[0] = *type;
  } else {
    std::swap(reply.source_port, reply.destination_port);
  }
  return reply;
}

bool tuple_of(ByteSpan packet, bool ipv6, Tuple& tuple) {
  const auto datagram = find_transport(packet, ipv6, Checksums::Trust);
  return datagram && make_tuple(*datagram, tuple);
}

const char* header_error(ByteSpan packet, bool ipv6, Checksums checksums) {
  const auto datagram = find_transport(packet, ipv6, checksums);
  if (!datagram) return "it has no transport header";
  switch (datagram->protocol) {
    case protocol::kTcp:
      return tcp_error(*datagram);
    case protocol::kUdp:
      return first_udp_error(*datagram);
    case protocol::kUdpLite:
      return first_udplite_error(*datagram);
    case protocol::kIcmp:
      return icmp_error(*datagram);
    case protocol::kIcmpv6:
      if (!ipv6) return "ICMPv6 over IPv4";
      if (datagram->transport().size() < 8) return "the ICMPv6 header is cut off";
      return checksum_is_wrong(*datagram, true) ? "the ICMPv6 checksum is wrong" : nullptr;
    default:
      return nullptr;
  }
}

namespace {

constexpr std::uint8_t kLinksRedirect = 137;  // NDISC_REDIRECT

// What a router of the link says, of which the first option holds the packet's beginning.
std::optional<ByteSpan> packet_in_redirect(ByteSpan packet, ByteSpan icmp) {
  constexpr std::size_t kOptions = 40;  // behind the header and two addresses
  constexpr std::size_t kOptionHeader = 8;
  constexpr std::uint8_t kRedirectedHeader = 4;  // ND_OPT_REDIRECT_HDR
  constexpr std::uint8_t kHopsOfLink = 255;
  const std::uint8_t* source = packet.data() + ipv6::kSource;
  const bool of_link = source[0] == 0xfe && (source[1] & 0xc0) == 0x80;
  if (packet[ipv6::kHopLimit] != kHopsOfLink || !of_link || icmp[1] != 0) return std::nullopt;
  if (icmp.size() < kOptions + kOptionHeader + ipv6::kHeaderSize) return std::nullopt;
  const bool quotes = icmp[kOptions] == kRedirectedHeader && icmp[kOptions + 1] != 0;
  return quotes ? std::optional(icmp.subspan(kOptions + kOptionHeader)) : std::nullopt;
}

}  // namespace

std::optional<ByteSpan> packet_in_error(ByteSpan packet, bool ipv6) {
  const auto datagram = find_transport(packet, ipv6, Checksums::Trust);
  if (!datagram || datagram->transport().size() < 8) return std::nullopt;
  const ByteSpan icmp = datagram->transport();
  const std::uint8_t type = icmp[0];
  const bool is_error = ipv6
                            ? datagram->protocol == protocol::kIcmpv6 && type < 128
                            : datagram->protocol == protocol::kIcmp &&
                                  (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
  if (ipv6 && datagram->protocol == protocol::kIcmpv6 && type == kLinksRedirect) {
    return packet_in_redirect(packet, icmp);
  }
  const ByteSpan inner = icmp.subspan(8);
  if (!is_error || inner.size() < (ipv6 ? ipv6::kHeaderSize : ipv4::kHeaderSize)) {
    return std::nullopt;
  }
  if (!ipv6 && ipv4::header_size(inner) < ipv4::kHeaderSize) return std::nullopt;
  return inner;
}

FirstPacket track_first_packet(ByteSpan packet, bool ipv6, Checksums checksums) {
  FirstPacket answer;
  const auto datagram = find_transport(packet, ipv6, checksums);
  if (!datagram) {
    answer.why = ipv6 ? "no transport header follows the IPv6 extension headers"
                      : "a fragment, or its header's length is wrong";
    return answer;
  }

  // ICMPv6 is looked at before there is a tuple: nf_conntrack_icmpv6_error().
  if (datagram->protocol == protocol::kIcmpv6 && ipv6) {
    if (datagram->transport().size() < 8) {
      answer.why = "the ICMPv6 header is cut off";
      return answer;
    }
    if (checksum_is_wrong(*datagram, true)) {
      answer.why = "the ICMPv6 checksum is wrong";
      return answer;
    }
    if (is_untracked_icmpv6(datagram->transport()[0])) {
      answer.tracking = Tracking::Untracked;
      return answer;
    }
  }

  const char* error = nullptr;
  switch (datagram->protocol) {
    case protocol::kTcp:
      error = first_tcp_error(*datagram);
      break;
    case protocol::kUdp:
      error = first_udp_error(*datagram);
      break;
    case protocol::kUdpLite:
      error = first_udplite_error(*datagram);
      break;
    case protocol::kIcmp:
      error = first_icmp_error(*datagram);
      break;
    case protocol::kIcmpv6:
      error = first_icmpv6_error(*datagram);
      break;
    case protocol::kSctp:
      error = first_sctp_error(*datagram);
      break;
    default:
      break;
  }
  if (error == nullptr && !make_tuple(*datagram, answer.tuple)) {
    error = "its headers do not identify a connection";
  }
  if (error != nullptr) {
    answer.why = error;
    return answer;
  }
  answer.tracking = Tracking::Entry;
  return answer;
}

}  // namespace rolewall::eval
