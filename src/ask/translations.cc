#include "ask/translations.h"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

#include "ask/packet_parts.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

namespace ipv4 = eval::ipv4;
namespace ipv6 = eval::ipv6;

net::Address address_at(const eval::Packet& packet, std::size_t offset) {
  const std::uint8_t* bytes = packet.bytes.data() + offset;
  if (is_ipv6(packet)) return net::ipv6_from_bytes(bytes);
  return net::ipv4_from_bytes(bytes);
}

// The port: where the protocol has some, and the packet holds it.
struct End {
  net::Address address;
  std::optional<std::uint16_t> port;
  bool operator==(const End&) const = default;
};

End end_of(const eval::Packet& packet, const net::Address& address, std::size_t port_at) {
  const bool v6 = is_ipv6(packet);
  const std::uint8_t protocol = packet.bytes[v6 ? ipv6::kNextHeader : ipv4::kProtocol];
  const std::size_t offset = (v6 ? ipv6::kHeaderSize : ipv4::kHeaderSize) + port_at;
  if (!net::has_ports(protocol) || !eval::readable(packet.bytes, offset, 2)) return {address, {}};
  return {address, eval::be16(packet.bytes.data() + offset)};
}

// "10.0.2.10:443", "[2001:db8::1]:443", "10.0.2.10".
std::string in_words(const End& end) {
  std::string address = net::format(end.address);
  if (!end.port) return address;
  return net::is_ipv4(end.address) ? fmt::format("{}:{}", address, *end.port)
                                   : fmt::format("[{}]:{}", address, *end.port);
}

End source_end(const eval::Packet& packet) {
  return end_of(packet, source_of(packet), 0);
}
End destination_end(const eval::Packet& packet) {
  return end_of(packet, destination_of(packet), 2);
}

}  // namespace

net::Address source_of(const eval::Packet& packet) {
  return address_at(packet, is_ipv6(packet) ? ipv6::kSource : ipv4::kSource);
}

net::Address destination_of(const eval::Packet& packet) {
  return address_at(packet, is_ipv6(packet) ? ipv6::kDestination : ipv4::kDestination);
}

const std::string& Translations::at(ruleset::Hook hook) const {
  static const std::string kNothing;
  switch (hook) {
    case ruleset::Hook::Prerouting:
    case ruleset::Hook::Output:
      return destination;
    case ruleset::Hook::Input:
    case ruleset::Hook::Postrouting:
      return source;
    case ruleset::Hook::Ingress:
    case ruleset::Hook::Egress:
    case ruleset::Hook::Forward:
      break;
  }
  return kNothing;
}

Translations translations_of(const eval::Packet& before, const eval::Packet& after) {
  Translations translations;
  const End to = destination_end(after);
  if (to != destination_end(before)) translations.destination = "to " + in_words(to);
  const End from = source_end(after);
  if (from != source_end(before)) translations.source = "from " + in_words(from);
  return translations;
}

}  // namespace rolewall::ask
