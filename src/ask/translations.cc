#include "ask/translations.h"

#include <fmt/format.h>

#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

namespace ipv4 = eval::ipv4;
namespace ipv6 = eval::ipv6;

bool is_ipv6(const eval::Packet& packet) {
  return packet.ether_type == eval::kEtherTypeIpv6;
}

net::Address address_at(const eval::Packet& packet, std::size_t offset) {
  const std::uint8_t* bytes = packet.bytes.data() + offset;
  if (is_ipv6(packet)) return net::ipv6_from_bytes(bytes);
  return net::ipv4_from_bytes(bytes);
}

// "10.0.2.10:443", or the address alone where the protocol has no ports.
std::string end_at(const eval::Packet& packet, const net::Address& address, std::size_t port_at) {
  const bool v6 = is_ipv6(packet);
  const std::uint8_t protocol = packet.bytes[v6 ? ipv6::kNextHeader : ipv4::kProtocol];
  const std::size_t offset = (v6 ? ipv6::kHeaderSize : ipv4::kHeaderSize) + port_at;
  if (!net::has_ports(protocol) || !eval::readable(packet.bytes, offset, 2)) {
    return net::format(address);
  }
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", net::format(address), v6 ? "]" : "",
                     eval::be16(packet.bytes.data() + offset));
}

std::string source_in_words(const eval::Packet& packet) {
  return end_at(packet, source_of(packet), 0);
}
std::string destination_in_words(const eval::Packet& packet) {
  return end_at(packet, destination_of(packet), 2);
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
  const std::string to = destination_in_words(after);
  if (to != destination_in_words(before)) translations.destination = "to " + to;
  const std::string from = source_in_words(after);
  if (from != source_in_words(before)) translations.source = "from " + from;
  return translations;
}

}  // namespace rolewall::ask
