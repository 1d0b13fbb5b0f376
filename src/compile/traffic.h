// What a service asks for, as boxes: a protocol, a range of destination ports (or ICMP types) and a
// range of source ports, in one or both address families. A rule's literals are made disjoint
// first, so that no packet meets one rule's chain twice: a rule with a limit would count it twice.
#pragma once

#include <cstdint>
#include <vector>

#include "net/protocol.h"
#include "policy/policy.h"

namespace rolewall::compile {

struct Families {
  bool ipv4 = true;
  bool ipv6 = true;
  bool both() const { return ipv4 && ipv6; }
  bool none() const { return !ipv4 && !ipv6; }
  Families operator&(Families other) const { return {ipv4 && other.ipv4, ipv6 && other.ipv6}; }
  auto operator<=>(const Families&) const = default;
};

// For protocols without ports `source` is every port and means nothing; `destination` holds ICMP
// types 0 to 255 for ICMP and ICMPv6, and is every port otherwise.
struct Traffic {
  std::uint8_t protocol = 0;
  Families families;
  net::PortRange destination;
  net::PortRange source;

  bool every_destination() const { return destination == whole_range(protocol); }
  static net::PortRange whole_range(std::uint8_t protocol);
  auto operator<=>(const Traffic&) const = default;
};

inline bool is_icmp(std::uint8_t protocol) {
  return protocol == net::protocol::kIcmp || protocol == net::protocol::kIcmpv6;
}

// `icmp` is asked for in IPv4 alone and `icmpv6` in IPv6 alone, since they mean nothing in the
// other; "protocol/1" is the bare number, in both.
Traffic traffic_of(const policy::ServiceLiteral& literal);

// The same packets, no packet in two boxes, sorted.
std::vector<Traffic> disjoint(const std::vector<Traffic>& boxes);

}  // namespace rolewall::compile
