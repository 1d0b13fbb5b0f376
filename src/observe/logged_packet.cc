#include "observe/logged_packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "net/ipv6_extensions.h"
#include "net/protocol.h"

namespace rolewall::observe {
namespace {

using netlink::View;

std::uint16_t be16_of(View bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

void take_transport(View bytes, PacketHead& packet) {
  const bool has_ports = net::has_ports(packet.protocol);
  const bool has_type =
      packet.protocol == net::protocol::kIcmp || packet.protocol == net::protocol::kIcmpv6;
  const std::size_t needed = has_ports ? 4 : has_type ? 1 : 0;
  packet.lacks_service = packet.is_later_fragment || bytes.size() < needed;
  if (packet.lacks_service) return;
  if (has_ports) {
    packet.from_port = be16_of(bytes, 0);
    packet.to_port = be16_of(bytes, 2);
  }
  if (packet.protocol == net::protocol::kTcp && bytes.size() >= 14) packet.tcp_flags = bytes[13];
  if (has_type) packet.icmp_type = bytes[0];
}

std::optional<PacketHead> ipv4_head(View bytes) {
  if (bytes.size() < 20) return std::nullopt;
  const std::size_t header = std::size_t{bytes[0] & 0x0fU} * 4;
  PacketHead packet{.from = net::address_from_bytes(bytes.subspan(12, 4)),
                    .to = net::address_from_bytes(bytes.subspan(16, 4)),
                    .protocol = bytes[9],
                    .icmp_type = std::nullopt,
                    .length = be16_of(bytes, 2),
                    .is_later_fragment = (be16_of(bytes, 6) & 0x1fff) != 0};
  const bool is_whole = header >= 20 && header <= bytes.size();
  take_transport(is_whole ? bytes.subspan(header) : View(), packet);
  return packet;
}

std::optional<PacketHead> ipv6_head(View bytes) {
  constexpr std::size_t kHeader = 40;
  if (bytes.size() < kHeader) return std::nullopt;
  PacketHead packet{.from = net::address_from_bytes(bytes.subspan(8, 16)),
                    .to = net::address_from_bytes(bytes.subspan(24, 16)),
                    .protocol = bytes[6],
                    .icmp_type = std::nullopt,
                    .length = be16_of(bytes, 4) + std::uint32_t{kHeader}};
  View rest = bytes.subspan(kHeader);
  while (net::is_ipv6_extension(packet.protocol)) {
    if (rest.size() < 8) {  // the rest of it, and what it leads to, were not logged
      packet.lacks_service = true;
      return packet;
    }
    std::size_t length = 8;
    if (packet.protocol == net::kIpv6Fragment) {
      packet.is_later_fragment = (be16_of(rest, 2) & 0xfff8) != 0;
    } else {
      length = (std::size_t{rest[1]} + 1) * 8;
    }
    packet.protocol = rest[0];
    rest = rest.subspan(std::min(length, rest.size()));
    if (packet.is_later_fragment) break;
  }
  take_transport(rest, packet);
  return packet;
}

std::string flag_words(std::uint8_t flags) {
  constexpr std::string_view kNames[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"};
  std::string words;
  for (unsigned bit = 0; bit < 8; ++bit) {
    if ((flags >> bit & 1U) == 0) continue;
    if (!words.empty()) words += ',';
    words += kNames[bit];
  }
  return words;
}

std::string end_words(const net::Address& address, std::uint16_t port, bool has_port) {
  std::string text = net::format(address);
  if (!has_port) return text;
  return net::is_ipv4(address) ? fmt::format("{}:{}", text, port)
                               : fmt::format("[{}]:{}", text, port);
}

}  // namespace

bool is_of_the_middle(const PacketHead& packet) {
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint8_t kAck = 0x10;
  const bool knows_flags = packet.tcp_flags != 0;  // else they are not among the bytes
  return packet.protocol == net::protocol::kTcp && knows_flags &&
         (packet.tcp_flags & (kSyn | kAck)) != kSyn;
}

std::optional<PacketHead> packet_head(View bytes) {
  if (bytes.empty()) return std::nullopt;
  const unsigned version = bytes[0] >> 4U;
  if (version == 4) return ipv4_head(bytes);
  return version == 6 ? ipv6_head(bytes) : std::nullopt;
}

std::string packet_words(const PacketHead& packet) {
  const std::string_view named = net::protocol_name(packet.protocol);
  const bool ports = net::has_ports(packet.protocol) && !packet.lacks_service;
  std::string what(named);
  if (named.empty()) what = fmt::format("protocol/{}", packet.protocol);
  if (packet.icmp_type) what += fmt::format("/{}", *packet.icmp_type);
  std::string words =
      fmt::format("{} {} > {}", what, end_words(packet.from, packet.from_port, ports),
                  end_words(packet.to, packet.to_port, ports));
  if (packet.tcp_flags != 0) words += " flags=" + flag_words(packet.tcp_flags);
  return words;
}

}  // namespace rolewall::observe
