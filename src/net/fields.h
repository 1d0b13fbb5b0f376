// Header fields, one row each: where a field's bytes stand, what they are, and which protocol must
// be known to be there before they mean that. Whoever turns names into bytes or bytes into names
// reads this table; the evaluator does not, so that a wrong row here cannot hide in it.
//
// Fields are whole bytes. Numbers in them are in network order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace rolewall::net {

// Where offsets count from, in nf_tables' words.
enum class Layer : std::uint8_t { Link, Network, Transport };

enum class FieldType : std::uint8_t {
  Number,
  Ipv4Address,
  Ipv6Address,
  EtherAddress,
  EtherType,
  Protocol,  // IANA protocol number
  Port,
  TcpFlags,
  IcmpType,
  IcmpCode,
  Icmpv6Type,
  Icmpv6Code,
};

// What must be known of a packet for a field to be there.
enum class HeaderKind : std::uint8_t {
  Ether,
  Ipv4,
  Ipv6,
  AnyTransport,  // the ports of tcp, udp, sctp and others at once: nft's "th"
  Tcp,
  Udp,
  Sctp,
  Icmp,
  Icmpv6,
};

struct Field {
  HeaderKind header;
  std::string_view name;  // nft's, with the header's: "tcp dport"
  Layer layer;
  std::uint32_t offset;
  std::uint32_t length;
  FieldType type;
};

std::span<const Field> fields();

const Field* find_field(std::string_view name);
const Field* find_field(HeaderKind header, std::uint32_t offset, std::uint32_t length);

// The protocol number behind a transport header's kind; none for the others.
std::optional<std::uint8_t> protocol_of(HeaderKind header);

}  // namespace rolewall::net
