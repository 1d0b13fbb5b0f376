#include "net/fields.h"

#include <algorithm>
#include <array>

#include "net/protocol.h"

namespace rolewall::net {
namespace {

// IEEE 802.3; RFC 791, 8200, 2474 (dscp), 3168 (ecn), 9293, 768, 9260, 792, 4443.
constexpr auto kFields = [] {
  using enum HeaderKind;
  return std::to_array<Field>({
      {Ether, "ether daddr", Layer::Link, 0, 48, FieldType::EtherAddress},
      {Ether, "ether saddr", Layer::Link, 48, 48, FieldType::EtherAddress},
      {Ether, "ether type", Layer::Link, 96, 16, FieldType::EtherType},

      {Ipv4, "ip version", Layer::Network, 0, 4, FieldType::Number},
      {Ipv4, "ip hdrlength", Layer::Network, 4, 4, FieldType::Number},
      {Ipv4, "ip dscp", Layer::Network, 8, 6, FieldType::Number},
      {Ipv4, "ip ecn", Layer::Network, 14, 2, FieldType::Number},
      {Ipv4, "ip length", Layer::Network, 16, 16, FieldType::Number},
      {Ipv4, "ip id", Layer::Network, 32, 16, FieldType::Number},
      {Ipv4, "ip frag-off", Layer::Network, 48, 16, FieldType::FragmentOffset},
      {Ipv4, "ip ttl", Layer::Network, 64, 8, FieldType::Number},
      {Ipv4, "ip protocol", Layer::Network, 72, 8, FieldType::Protocol},
      {Ipv4, "ip checksum", Layer::Network, 80, 16, FieldType::Number},
      {Ipv4, "ip saddr", Layer::Network, 96, 32, FieldType::Ipv4Address},
      {Ipv4, "ip daddr", Layer::Network, 128, 32, FieldType::Ipv4Address},

      {Ipv6, "ip6 version", Layer::Network, 0, 4, FieldType::Number},
      {Ipv6, "ip6 dscp", Layer::Network, 4, 6, FieldType::Number},
      {Ipv6, "ip6 ecn", Layer::Network, 10, 2, FieldType::Number},
      {Ipv6, "ip6 flowlabel", Layer::Network, 12, 20, FieldType::Number},
      {Ipv6, "ip6 length", Layer::Network, 32, 16, FieldType::Number},
      {Ipv6, "ip6 nexthdr", Layer::Network, 48, 8, FieldType::Protocol},
      {Ipv6, "ip6 hoplimit", Layer::Network, 56, 8, FieldType::Number},
      {Ipv6, "ip6 saddr", Layer::Network, 64, 128, FieldType::Ipv6Address},
      {Ipv6, "ip6 daddr", Layer::Network, 192, 128, FieldType::Ipv6Address},

      {AnyTransport, "th sport", Layer::Transport, 0, 16, FieldType::Port},
      {AnyTransport, "th dport", Layer::Transport, 16, 16, FieldType::Port},

      {Tcp, "tcp sport", Layer::Transport, 0, 16, FieldType::Port},
      {Tcp, "tcp dport", Layer::Transport, 16, 16, FieldType::Port},
      {Tcp, "tcp sequence", Layer::Transport, 32, 32, FieldType::Number},
      {Tcp, "tcp ackseq", Layer::Transport, 64, 32, FieldType::Number},
      {Tcp, "tcp doff", Layer::Transport, 96, 4, FieldType::Number},
      {Tcp, "tcp flags", Layer::Transport, 104, 8, FieldType::TcpFlags},
      {Tcp, "tcp window", Layer::Transport, 112, 16, FieldType::Number},
      {Tcp, "tcp checksum", Layer::Transport, 128, 16, FieldType::Number},
      {Tcp, "tcp urgptr", Layer::Transport, 144, 16, FieldType::Number},

      {Udp, "udp sport", Layer::Transport, 0, 16, FieldType::Port},
      {Udp, "udp dport", Layer::Transport, 16, 16, FieldType::Port},
      {Udp, "udp length", Layer::Transport, 32, 16, FieldType::Number},
      {Udp, "udp checksum", Layer::Transport, 48, 16, FieldType::Number},

      {Sctp, "sctp sport", Layer::Transport, 0, 16, FieldType::Port},
      {Sctp, "sctp dport", Layer::Transport, 16, 16, FieldType::Port},
      {Sctp, "sctp vtag", Layer::Transport, 32, 32, FieldType::Number},
      {Sctp, "sctp checksum", Layer::Transport, 64, 32, FieldType::Number},

      {Icmp, "icmp type", Layer::Transport, 0, 8, FieldType::IcmpType},
      {Icmp, "icmp code", Layer::Transport, 8, 8, FieldType::IcmpCode},
      {Icmp, "icmp checksum", Layer::Transport, 16, 16, FieldType::Number},
      {Icmp, "icmp id", Layer::Transport, 32, 16, FieldType::Number, true},
      {Icmp, "icmp sequence", Layer::Transport, 48, 16, FieldType::Number, true},

      {Icmpv6, "icmpv6 type", Layer::Transport, 0, 8, FieldType::Icmpv6Type},
      {Icmpv6, "icmpv6 code", Layer::Transport, 8, 8, FieldType::Icmpv6Code},
      {Icmpv6, "icmpv6 checksum", Layer::Transport, 16, 16, FieldType::Number},
      {Icmpv6, "icmpv6 id", Layer::Transport, 32, 16, FieldType::Number, true},
      {Icmpv6, "icmpv6 sequence", Layer::Transport, 48, 16, FieldType::Number, true},
  });
}();

template <class Condition>
const Field* first_field(HeaderKind header, std::uint32_t first_byte, Condition condition) {
  const auto at = std::ranges::find_if(kFields, [&](const Field& field) {
    return field.header == header && field.first_byte() == first_byte && condition(field);
  });
  return at == kFields.end() ? nullptr : &*at;
}

}  // namespace

std::span<const Field> fields() {
  return kFields;
}

const Field* find_field(HeaderKind header, std::uint32_t first_byte, std::uint32_t byte_count) {
  return first_field(header, first_byte, [&](const Field& field) {
    return field.is_whole_bytes() && field.byte_count() == byte_count;
  });
}

const Field* find_field(HeaderKind header, std::uint32_t first_byte,
                        std::span<const std::uint8_t> mask) {
  if (mask.size() > sizeof(std::uint64_t)) return nullptr;
  std::uint64_t wanted = 0;
  for (const std::uint8_t byte : mask) wanted = wanted << 8 | byte;
  return first_field(header, first_byte, [&](const Field& field) {
    return !field.is_whole_bytes() && field.byte_count() == mask.size() && field.mask() == wanted;
  });
}

const Field* find_address(HeaderKind header, std::uint32_t first_byte) {
  return first_field(header, first_byte, [](const Field& field) {
    return field.type == FieldType::Ipv4Address || field.type == FieldType::Ipv6Address;
  });
}

std::optional<std::uint8_t> protocol_of(HeaderKind header) {
  using enum HeaderKind;
  switch (header) {
    case Tcp:
      return protocol::kTcp;
    case Udp:
      return protocol::kUdp;
    case Sctp:
      return protocol::kSctp;
    case Icmp:
      return protocol::kIcmp;
    case Icmpv6:
      return protocol::kIcmpv6;
    case Ether:
    case Ipv4:
    case Ipv6:
    case AnyTransport:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<HeaderKind> header_of(std::uint8_t protocol) {
  using enum HeaderKind;
  for (const HeaderKind header : {Tcp, Udp, Sctp, Icmp, Icmpv6}) {
    if (protocol_of(header) == protocol) return header;
  }
  return std::nullopt;
}

}  // namespace rolewall::net
