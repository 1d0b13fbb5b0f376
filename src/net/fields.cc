#include "net/fields.h"

#include <algorithm>
#include <array>

#include "net/protocol.h"

namespace rolewall::net {
namespace {

// IEEE 802.3; RFC 791, 8200, 9293, 768, 9260, 792, 4443.
using enum HeaderKind;
constexpr auto kFields = std::to_array<Field>({
    {Ether, "ether daddr", Layer::Link, 0, 6, FieldType::EtherAddress},
    {Ether, "ether saddr", Layer::Link, 6, 6, FieldType::EtherAddress},
    {Ether, "ether type", Layer::Link, 12, 2, FieldType::EtherType},

    {Ipv4, "ip length", Layer::Network, 2, 2, FieldType::Number},
    {Ipv4, "ip id", Layer::Network, 4, 2, FieldType::Number},
    {Ipv4, "ip ttl", Layer::Network, 8, 1, FieldType::Number},
    {Ipv4, "ip protocol", Layer::Network, 9, 1, FieldType::Protocol},
    {Ipv4, "ip checksum", Layer::Network, 10, 2, FieldType::Number},
    {Ipv4, "ip saddr", Layer::Network, 12, 4, FieldType::Ipv4Address},
    {Ipv4, "ip daddr", Layer::Network, 16, 4, FieldType::Ipv4Address},

    {Ipv6, "ip6 length", Layer::Network, 4, 2, FieldType::Number},
    {Ipv6, "ip6 nexthdr", Layer::Network, 6, 1, FieldType::Protocol},
    {Ipv6, "ip6 hoplimit", Layer::Network, 7, 1, FieldType::Number},
    {Ipv6, "ip6 saddr", Layer::Network, 8, 16, FieldType::Ipv6Address},
    {Ipv6, "ip6 daddr", Layer::Network, 24, 16, FieldType::Ipv6Address},

    {AnyTransport, "th sport", Layer::Transport, 0, 2, FieldType::Port},
    {AnyTransport, "th dport", Layer::Transport, 2, 2, FieldType::Port},

    {Tcp, "tcp sport", Layer::Transport, 0, 2, FieldType::Port},
    {Tcp, "tcp dport", Layer::Transport, 2, 2, FieldType::Port},
    {Tcp, "tcp sequence", Layer::Transport, 4, 4, FieldType::Number},
    {Tcp, "tcp ackseq", Layer::Transport, 8, 4, FieldType::Number},
    {Tcp, "tcp flags", Layer::Transport, 13, 1, FieldType::TcpFlags},
    {Tcp, "tcp window", Layer::Transport, 14, 2, FieldType::Number},
    {Tcp, "tcp checksum", Layer::Transport, 16, 2, FieldType::Number},
    {Tcp, "tcp urgptr", Layer::Transport, 18, 2, FieldType::Number},

    {Udp, "udp sport", Layer::Transport, 0, 2, FieldType::Port},
    {Udp, "udp dport", Layer::Transport, 2, 2, FieldType::Port},
    {Udp, "udp length", Layer::Transport, 4, 2, FieldType::Number},
    {Udp, "udp checksum", Layer::Transport, 6, 2, FieldType::Number},

    {Sctp, "sctp sport", Layer::Transport, 0, 2, FieldType::Port},
    {Sctp, "sctp dport", Layer::Transport, 2, 2, FieldType::Port},
    {Sctp, "sctp vtag", Layer::Transport, 4, 4, FieldType::Number},
    {Sctp, "sctp checksum", Layer::Transport, 8, 4, FieldType::Number},

    {Icmp, "icmp type", Layer::Transport, 0, 1, FieldType::IcmpType},
    {Icmp, "icmp code", Layer::Transport, 1, 1, FieldType::IcmpCode},
    {Icmp, "icmp checksum", Layer::Transport, 2, 2, FieldType::Number},

    {Icmpv6, "icmpv6 type", Layer::Transport, 0, 1, FieldType::Icmpv6Type},
    {Icmpv6, "icmpv6 code", Layer::Transport, 1, 1, FieldType::Icmpv6Code},
    {Icmpv6, "icmpv6 checksum", Layer::Transport, 2, 2, FieldType::Number},
});

}  // namespace

std::span<const Field> fields() {
  return kFields;
}

const Field* find_field(std::string_view name) {
  const auto at = std::ranges::find(kFields, name, &Field::name);
  return at == kFields.end() ? nullptr : &*at;
}

const Field* find_field(HeaderKind header, std::uint32_t offset, std::uint32_t length) {
  const auto at = std::ranges::find_if(kFields, [&](const Field& field) {
    return field.header == header && field.offset == offset && field.length == length;
  });
  return at == kFields.end() ? nullptr : &*at;
}

std::optional<std::uint8_t> protocol_of(HeaderKind header) {
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

}  // namespace rolewall::net
