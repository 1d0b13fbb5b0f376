// Where the parts of a packet stand in its headers. Inside analyze/ alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "analyze/packet_space.h"

namespace rolewall::analyze {

inline constexpr std::uint32_t kIpv4HeaderSize = 20;
inline constexpr std::uint32_t kIpv6HeaderSize = 40;
constexpr std::uint32_t ip_header_size(bool ipv6) {
  return ipv6 ? kIpv6HeaderSize : kIpv4HeaderSize;
}

// As the kernel compares names of devices: padded with zeros to IFNAMSIZ.
inline ruleset::Bytes device_name(std::string_view device) {
  constexpr std::size_t kSize = 16;
  ruleset::Bytes name(kSize);
  std::copy_n(device.begin(), std::min(device.size(), kSize - 1), name.begin());
  return name;
}

// One bit of the packet, from the network header on.
struct HeaderBit {
  enum class Kind : std::uint8_t { OfPart, Known, Derived } kind = Kind::Derived;
  Part part = Part::Family;  // OfPart
  std::uint32_t bit = 0;     // of the part, the highest is 0
  bool is_set = false;       // Known
};

// Derived: it follows from others (a checksum, IPv6's length), or lies behind what is a part here.
HeaderBit header_bit(bool ipv6, std::uint32_t bit);

}  // namespace rolewall::analyze
