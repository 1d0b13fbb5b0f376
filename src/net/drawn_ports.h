// The ports that a client may connect from: one without privileges draws any from the first on
// (net.ipv4.ip_local_port_range, and other systems' like).
#pragma once

#include <array>
#include <cstdint>

namespace rolewall::net {

inline constexpr std::uint16_t kLeastDrawnPort = 1024;
inline constexpr std::array<std::uint16_t, 2> kFurthestDrawnPorts{kLeastDrawnPort, UINT16_MAX};

}  // namespace rolewall::net
