// Devices that wrap what leaves by them into packets of their own.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace rolewall::ruleset {

// `kind`: rtnetlink's word for a device (IFLA_INFO_KIND). Of a "tun" a program holds the other end:
// a VPN's, or a virtual machine's, which wraps nothing.
inline bool is_tunnel(std::string_view kind) {
  constexpr auto kKinds = std::to_array<std::string_view>(
      {"tun",       "wireguard", "vxlan",   "geneve", "gre",    "gretap", "erspan", "ip6gre",
       "ip6gretap", "ip6erspan", "ipip",    "sit",    "ip6tnl", "vti",    "vti6",   "xfrm",
       "l2tp",      "ovpn",      "bareudp", "ppp",    "amt",    "gtp",    "fou"});
  return std::ranges::find(kKinds, kind) != kKinds.end();
}

}  // namespace rolewall::ruleset
