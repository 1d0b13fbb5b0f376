// The headers between IPv6's own and what it carries that the kernel goes past, looking for the
// transport header (ipv6_ext_hdr() of net/ipv6/exthdrs_core.c). Mobility (135) is none of them, and
// AH (51) is where nft's `meta l4proto` ends.
#pragma once

#include <cstdint>

namespace rolewall::net {

inline constexpr std::uint8_t kIpv6Fragment = 44;

// Hop-by-hop options, routing, fragment, destination options.
inline bool is_ipv6_extension(std::uint8_t next_header) {
  return next_header == 0 || next_header == 43 || next_header == kIpv6Fragment || next_header == 60;
}

}  // namespace rolewall::net
