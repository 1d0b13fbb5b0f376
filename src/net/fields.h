// Header fields, one row each: where a field's bits stand, what they are, and which protocol must
// be known to be there before they mean that. Whoever turns names into bytes or bytes into names
// (nft's text, explanations, a packet's words) reads this table; the evaluator's verdicts do not,
// so that a wrong row here cannot hide in them.
//
// nf_tables loads whole bytes. A field that is less is loaded with the fewest bytes that hold it,
// and a mask clears what is around it: first_byte(), byte_count() and mask() say which. Numbers are
// in network order.
#pragma once

#include <array>
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
  FragmentOffset,  // with the flags before it: bits, not a number
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
  std::uint32_t bit;   // its first; bit 0 is the highest of the header's first byte
  std::uint32_t bits;  // how many it has
  FieldType type;
  bool tests_more = false;  // nft takes the name for a test of the ICMP type as well

  constexpr std::uint32_t first_byte() const { return bit / 8; }
  constexpr std::uint32_t byte_count() const { return (bit + bits + 7) / 8 - first_byte(); }
  constexpr bool is_whole_bytes() const { return bit % 8 == 0 && bits % 8 == 0; }
  // Of one that is no whole bytes: its bits in the bytes that hold it, as a number, and how many
  // bits are below it.
  constexpr std::uint32_t shift() const { return (first_byte() + byte_count()) * 8 - bit - bits; }
  constexpr std::uint64_t mask() const { return ((std::uint64_t{1} << bits) - 1) << shift(); }
};

std::span<const Field> fields();

// Whole bytes: what a load alone names.
const Field* find_field(HeaderKind header, std::uint32_t first_byte, std::uint32_t byte_count);
// Some bits of the loaded bytes, under the mask that nft loads them with. (Masks that are not a
// field's have no name.)
const Field* find_field(HeaderKind header, std::uint32_t first_byte,
                        std::span<const std::uint8_t> mask);
// The address that begins there: what is loaded of one may be its first bytes alone, a prefix.
const Field* find_address(HeaderKind header, std::uint32_t first_byte);

// The bits of a TCP header's flags (RFC 9293; RFC 3168 for the highest two), from the lowest.
struct TcpFlag {
  std::uint8_t bit;
  std::string_view name;
  std::string_view nft_name;  // nft says ecn for ece
};
inline constexpr std::array<TcpFlag, 8> kTcpFlags{{{0x01, "fin", "fin"},
                                                   {0x02, "syn", "syn"},
                                                   {0x04, "rst", "rst"},
                                                   {0x08, "psh", "psh"},
                                                   {0x10, "ack", "ack"},
                                                   {0x20, "urg", "urg"},
                                                   {0x40, "ece", "ecn"},
                                                   {0x80, "cwr", "cwr"}}};

// The protocol number behind a transport header's kind; none for the others.
std::optional<std::uint8_t> protocol_of(HeaderKind header);
// The other way round; none for a protocol whose header has no rows here.
std::optional<HeaderKind> header_of(std::uint8_t protocol);

}  // namespace rolewall::net
