// How ipset writes a protocol and a port: "tcp:80", "icmp:echo-request", "gre:0", "47:0".
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace rolewall::ruleset {

struct IpsetPort {
  std::uint8_t protocol = 0;
  std::uint16_t number = 0;  // of ICMP the type, and the code in the low byte
};

std::optional<IpsetPort> ipset_port(std::string_view text);

}  // namespace rolewall::ruleset
