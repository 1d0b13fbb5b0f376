// Protocol numbers and port ranges: the IANA values that the policy language, the packet builder
// and the evaluator name.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace rolewall::net {

// Any other number is legal wherever a protocol stands, so this is a set of constants and not a
// closed enum.
namespace protocol {
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kDccp = 33;
inline constexpr std::uint8_t kGre = 47;
inline constexpr std::uint8_t kIcmpv6 = 58;
inline constexpr std::uint8_t kSctp = 132;
inline constexpr std::uint8_t kUdpLite = 136;
}  // namespace protocol

// The policy language's words; "" for a protocol that has a number alone there.
inline std::string_view protocol_name(std::uint8_t number) {
  switch (number) {
    case protocol::kIcmp:
      return "icmp";
    case protocol::kTcp:
      return "tcp";
    case protocol::kUdp:
      return "udp";
    case protocol::kIcmpv6:
      return "icmpv6";
    case protocol::kSctp:
      return "sctp";
    default:
      return "";
  }
}

// Those whose ports a policy can say.
inline bool has_ports(std::uint8_t number) {
  return number == protocol::kTcp || number == protocol::kUdp || number == protocol::kSctp;
}

// Inclusive, host order.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 65535;
  bool is_all() const { return first == 0 && last == 65535; }
  bool contains(std::uint16_t port) const { return first <= port && port <= last; }
  auto operator<=>(const PortRange&) const = default;
};

}  // namespace rolewall::net
