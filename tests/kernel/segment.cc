#include "segment.h"

#include <algorithm>

#include "net/protocol.h"

namespace rolewall::kernel_judge {
namespace {

namespace protocol = net::protocol;

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kDestinationOptions = 60;

void put16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
  bytes.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, value >> 16);
  put16(bytes, value);
}
std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

// RFC 1071.
std::uint16_t sum_of(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::size_t checksum_offset(std::uint8_t protocol) {
  const bool is_udp = protocol == protocol::kUdp || protocol == protocol::kUdpLite;
  return protocol == protocol::kTcp ? 16 : is_udp ? 6 : 2;
}

}  // namespace

Bytes tcp(const TcpSegment& segment) {
  Bytes bytes;
  put16(bytes, segment.source_port);
  put16(bytes, segment.destination_port);
  put32(bytes, segment.sequence);
  put32(bytes, segment.ack);
  bytes.push_back(static_cast<std::uint8_t>((5 + segment.options.size() / 4) << 4));
  bytes.push_back(segment.flags);
  put16(bytes, segment.window);
  put32(bytes, 0);
  bytes.insert(bytes.end(), segment.options.begin(), segment.options.end());
  bytes.resize(bytes.size() + segment.data, 'd');
  return bytes;
}

Bytes udp(std::uint16_t source_port, std::uint16_t destination_port, std::uint32_t data) {
  Bytes bytes;
  put16(bytes, source_port);
  put16(bytes, destination_port);
  put16(bytes, 8 + data);
  put16(bytes, 0);
  bytes.resize(bytes.size() + data, 'd');
  return bytes;
}

Bytes icmp(std::uint8_t type, std::uint8_t code, std::array<std::uint8_t, 4> rest,
           std::span<const std::uint8_t> data) {
  Bytes bytes{type, code, 0, 0};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Bytes datagram(const net::Address& source, const net::Address& destination, std::uint8_t protocol,
               Bytes transport, std::uint8_t ttl) {
  const auto from = net::to_bytes(source);
  const auto to = net::to_bytes(destination);
  const std::size_t at = checksum_offset(protocol);
  if (protocol != protocol::kIcmp) {
    std::uint32_t sum = sum_of(from) + std::uint32_t{sum_of(to)} + protocol +
                        static_cast<std::uint32_t>(transport.size());
    sum = static_cast<std::uint16_t>(~sum_of(transport, sum));
    if (sum == 0 && protocol == protocol::kUdp) sum = 0xffff;
    transport[at] = static_cast<std::uint8_t>(sum >> 8);
    transport[at + 1] = static_cast<std::uint8_t>(sum);
  } else {
    const auto sum = static_cast<std::uint16_t>(~sum_of(transport));
    transport[at] = static_cast<std::uint8_t>(sum >> 8);
    transport[at + 1] = static_cast<std::uint8_t>(sum);
  }
  Bytes bytes;
  const auto length = static_cast<std::uint32_t>(transport.size());
  if (from.size() == 4) {
    bytes = {0x45, 0};
    put16(bytes, 20 + length);
    put16(bytes, 0x1234);  // a raw socket would fill in a zero
    put16(bytes, 0);
    bytes.push_back(ttl);
    bytes.push_back(protocol);
    put16(bytes, 0);
  } else {
    bytes = {0x60, 0, 0, 0};
    put16(bytes, length);
    bytes.push_back(protocol);
    bytes.push_back(ttl);
  }
  bytes.insert(bytes.end(), from.begin(), from.end());
  bytes.insert(bytes.end(), to.begin(), to.end());
  if (from.size() == 4) {
    const auto sum = static_cast<std::uint16_t>(~sum_of(bytes));
    bytes[10] = static_cast<std::uint8_t>(sum >> 8);
    bytes[11] = static_cast<std::uint8_t>(sum);
  }
  bytes.insert(bytes.end(), transport.begin(), transport.end());
  return bytes;
}

bool has_options(std::span<const std::uint8_t> packet) {
  if (packet[0] >> 4 == 4) return packet[0] != 0x45;
  return packet[6] == kHopByHop || packet[6] == kDestinationOptions;
}

Speaker speaker_of(std::span<const std::uint8_t> packet) {
  Speaker speaker;
  std::size_t transport = 40;
  if (packet[0] >> 4 == 4) {
    transport = (packet[0] & 0xfU) * 4U;
    speaker.protocol = packet[9];
    speaker.source = net::ipv4_from_bytes(packet.data() + 12);
    speaker.destination = net::ipv4_from_bytes(packet.data() + 16);
  } else {
    speaker.protocol = packet[6];
    if (has_options(packet)) {
      speaker.protocol = packet[40];
      transport += 8 + packet[41] * std::size_t{8};
    }
    speaker.source = net::ipv6_from_bytes(packet.data() + 8);
    speaker.destination = net::ipv6_from_bytes(packet.data() + 24);
  }
  const bool is_icmp = speaker.protocol == protocol::kIcmp || speaker.protocol == protocol::kIcmpv6;
  speaker.source_port = get16(packet, transport + (is_icmp ? 4 : 0));
  speaker.destination_port = get16(packet, transport + (is_icmp ? 4 : 2));
  return speaker;
}

}  // namespace rolewall::kernel_judge
