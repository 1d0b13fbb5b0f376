// Numbers in the bytes of a packet: network order, read and written without alignment; and flags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rolewall::eval {

using ByteSpan = std::span<const std::uint8_t>;

// Whether `length` bytes can be read at `offset`, as skb_header_pointer() asks.
inline bool readable(ByteSpan bytes, std::size_t offset, std::size_t length) {
  return offset <= bytes.size() && length <= bytes.size() - offset;
}

inline std::uint16_t be16(const std::uint8_t* p) {
  return static_cast<std::uint16_t>(p[0] << 8 | p[1]);
}
inline std::uint32_t be32(const std::uint8_t* p) {
  return static_cast<std::uint32_t>(be16(p)) << 16 | be16(p + 2);
}

inline void put_be16(std::uint8_t* p, std::uint32_t number) {
  p[0] = static_cast<std::uint8_t>(number >> 8);
  p[1] = static_cast<std::uint8_t>(number);
}
inline void put_be32(std::uint8_t* p, std::uint32_t number) {
  put_be16(p, number >> 16);
  put_be16(p + 2, number);
}

inline constexpr std::uint32_t kLargestPacket = 65535;  // what a length field can say

// Byte offsets within the fixed headers.
namespace ipv4 {
inline constexpr std::size_t kHeaderSize = 20;
inline constexpr std::size_t kTos = 1;
inline constexpr std::size_t kTotalLength = 2;
inline constexpr std::size_t kIdentification = 4;
inline constexpr std::size_t kFragment = 6;
inline constexpr std::size_t kTtl = 8;
inline constexpr std::size_t kProtocol = 9;
inline constexpr std::size_t kChecksum = 10;
inline constexpr std::size_t kSource = 12;
inline constexpr std::size_t kDestination = 16;
inline constexpr std::uint16_t kDontFragment = 0x4000;
inline constexpr std::uint16_t kMoreFragments = 0x2000;
inline constexpr std::uint16_t kOffsetMask = 0x1fff;
inline std::size_t header_size(ByteSpan packet) {
  return std::size_t{packet[0] & 0x0fU} * 4;
}
}  // namespace ipv4

namespace ipv6 {
inline constexpr std::size_t kHeaderSize = 40;
inline constexpr std::size_t kPayloadLength = 4;
inline constexpr std::size_t kNextHeader = 6;
inline constexpr std::size_t kHopLimit = 7;
inline constexpr std::size_t kSource = 8;
inline constexpr std::size_t kDestination = 24;
// Next-header numbers that are extension headers (ipv6_ext_hdr() of net/ipv6/exthdrs_core.c).
inline constexpr std::uint8_t kHopByHop = 0;
inline constexpr std::uint8_t kRouting = 43;
inline constexpr std::uint8_t kFragmentHeader = 44;
inline constexpr std::size_t kFragmentHeaderSize = 8;
inline constexpr std::uint8_t kAuthentication = 51;
inline constexpr std::uint8_t kNoNextHeader = 59;
inline constexpr std::uint8_t kDestinationOptions = 60;
}  // namespace ipv6

// The flags of a TCP header.
enum TcpFlag : std::uint8_t { kFin = 1, kSyn = 2, kRst = 4, kAck = 16, kUrg = 32 };

}  // namespace rolewall::eval
