// Protocol numbers and port ranges: the IANA values that the policy language and the packet builder
// name.
#pragma once

#include <compare>
#include <cstdint>

namespace rolewall::net {

// IANA protocol numbers of the protocols that have a syntax of their own; any other number is legal
// wherever a protocol stands, so this is a set of constants and not a closed enum.
namespace protocol {
inline constexpr std::uint8_t kIcmp = 1;
inline constexpr std::uint8_t kTcp = 6;
inline constexpr std::uint8_t kUdp = 17;
inline constexpr std::uint8_t kIcmpv6 = 58;
inline constexpr std::uint8_t kSctp = 132;
}  // namespace protocol

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
