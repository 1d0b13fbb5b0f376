#include "eval/exthdr.h"

#include <array>

#include "eval/checksum.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

// optlen() of nft_exthdr.c: an option of no length counts as one byte.
std::size_t tcp_option_size(ByteSpan header, std::size_t at) {
  constexpr std::uint8_t kNop = 1;
  return header[at] <= kNop || header[at + 1] == 0 ? 1 : header[at + 1];
}

}  // namespace

// __dccp_hdr_len() of include/linux/dccp.h: the fixed header and what its packet type adds.
std::size_t dccp_header_size(const std::uint8_t* header) {
  const bool extended = (header[8] & 1) != 0;
  const std::size_t basic = extended ? 16 : 12;
  switch (header[8] >> 1 & 0x0f) {
    case 2:  // Data
      return basic;
    case 0:  // Request: service code
      return basic + 4;
    case 3:  // Ack
    case 4:  // DataAck
    case 5:  // CloseReq
    case 6:  // Close
    case 8:  // Sync
    case 9:  // SyncAck
      return basic + 8;
    default:  // Response, Reset, and what is no type
      return basic + 12;
  }
}

std::optional<std::size_t> find_ipv6_header(ByteSpan packet, std::uint8_t type) {
  std::size_t start = ipv6::kHeaderSize;
  std::uint8_t next = packet[ipv6::kNextHeader];
  while (true) {
    const bool found = next == type;
    if (!is_ipv6_extension(next) || next == ipv6::kNoNextHeader) {
      return found ? std::optional(start) : std::nullopt;
    }
    if (!readable(packet, start, next == ipv6::kRouting ? 4 : 2)) return std::nullopt;
    const std::uint8_t* header = packet.data() + start;
    std::size_t size = (std::size_t{header[1]} + 1) * 8;
    if (next == ipv6::kFragmentHeader) {
      if (!readable(packet, start, 4)) return std::nullopt;
      const bool later = (be16(header + 2) & ~7U) != 0;
      if (later) return found ? std::optional(start) : std::nullopt;
      size = 8;
    } else if (next == ipv6::kAuthentication) {
      size = (std::size_t{header[1]} + 2) * 4;
    }
    if (found) return start;
    if (packet.size() - start < size) return std::nullopt;
    next = header[0];
    start += size;
  }
}

TcpHeader tcp_header(ByteSpan packet, const Dissection& dissection) {
  constexpr std::size_t kFixed = 20;
  constexpr std::size_t kDataOffset = 12;
  if (dissection.protocol != protocol::kTcp || dissection.fragment_offset != 0) return {};
  const std::size_t start = dissection.transport;
  if (!readable(packet, start, kFixed)) return {};
  const std::size_t size = std::size_t{packet[start + kDataOffset]} / 16 * 4;
  if (size < kFixed || !readable(packet, start, size)) return {};
  return {start, packet.subspan(start, size)};
}

std::optional<TcpOption> find_tcp_option(ByteSpan header, std::uint8_t type) {
  // An option in the last byte is not looked at.
  for (std::size_t at = 20; at + 1 < header.size();) {
    const std::size_t size = tcp_option_size(header, at);
    if (header[at] == type) return TcpOption{at, size};
    at += size;
  }
  return std::nullopt;
}

void blank_tcp_option(std::uint8_t* tcp, const TcpOption& option) {
  constexpr std::size_t kChecksum = 16;
  constexpr std::uint8_t kNop = 1;
  std::uint16_t checksum = be16(tcp + kChecksum);
  for (std::size_t i = option.offset; i < option.offset + option.size; ++i) {
    const bool high = i % 2 == 0;
    const std::array<std::uint8_t, 2> from{high ? tcp[i] : std::uint8_t{0},
                                           high ? std::uint8_t{0} : tcp[i]};
    const std::array<std::uint8_t, 2> to{high ? kNop : std::uint8_t{0},
                                         high ? std::uint8_t{0} : kNop};
    checksum = mended_checksum(checksum, from, to);
    tcp[i] = kNop;
  }
  put_be16(tcp + kChecksum, checksum);
}

// __ip_options_compile() of net/ipv4/ip_options.c without a packet, which differs from what every
// packet meets (stack.h): source routes must be fresh, and the unprivileged may not say all.
Ipv4Option find_ipv4_option(ByteSpan packet, std::uint8_t type) {
  constexpr std::uint8_t kEnd = 0;
  constexpr std::uint8_t kNoop = 1;
  constexpr std::uint8_t kRecordRoute = 7;
  constexpr std::uint8_t kTimestamp = 68;
  constexpr std::uint8_t kLooseRoute = 131;
  constexpr std::uint8_t kStrictRoute = 137;
  constexpr std::uint8_t kRouterAlert = 148;
  const std::size_t end = ipv4::header_size(packet);
  std::size_t route = 0;
  std::size_t record = 0;
  std::size_t alert = 0;
  bool timestamp = false;
  bool unknown = false;
  for (std::size_t at = ipv4::kHeaderSize; at < end && packet[at] != kEnd;) {
    const std::uint8_t* option = packet.data() + at;
    if (option[0] == kNoop) {
      ++at;
      continue;
    }
    if (end - at < 2 || option[1] < 2 || option[1] > end - at) return {};
    const unsigned size = option[1];
    switch (option[0]) {
      case kStrictRoute:
      case kLooseRoute:
        if (size < 7 || option[2] != 4 || (size - 3) % 4 != 0 || route != 0) return {};
        route = at;
        break;
      case kRecordRoute:
        if (record != 0 || size < 3 || option[2] < 4) return {};
        if (option[2] <= size && option[2] + 3U > size) return {};
        record = at;
        break;
      case kTimestamp: {
        if (timestamp || size < 4 || option[2] < 5) return {};
        const unsigned kind = option[3] & 0x0fU;  // 0: times; 1: with addresses; 3: at these
        if (option[2] <= size) {
          if (option[2] + 3U > size) return {};
          if ((kind == 1 || kind == 3) && option[2] + 7U > size) return {};
          unknown |= kind != 0 && kind != 1 && kind != 3;
        } else if (kind != 3 && option[3] >> 4 == 15) {
          return {};
        }
        timestamp = true;
        break;
      }
      case kRouterAlert:
        if (size < 4) return {};
        if (option[2] == 0 && option[3] == 0) alert = at;
        break;
      default:
        unknown = true;
    }
    at += size;
  }
  std::size_t found = 0;
  if (type == kRecordRoute) found = record;
  if (type == kRouterAlert) found = alert;
  if ((type == kStrictRoute || type == kLooseRoute) && route != 0 && packet[route] == type) {
    found = route;
  }
  if (found == 0) return {};
  return {unknown ? Ipv4Option::Is::Unknown : Ipv4Option::Is::Found, found};
}

std::optional<std::size_t> find_sctp_chunk(ByteSpan packet, const Dissection& dissection,
                                           std::uint8_t type, std::uint32_t offset,
                                           std::uint32_t length, bool present) {
  constexpr std::size_t kHeaderSize = 12;
  if (dissection.protocol != protocol::kSctp) return std::nullopt;
  std::size_t at = dissection.transport + kHeaderSize;
  do {
    if (!readable(packet, at, 4)) return std::nullopt;
    const std::size_t size = be16(packet.data() + at + 2);
    if (size == 0) return std::nullopt;
    if (packet[at] == type) {
      if (present) return at;
      if (std::size_t{offset} + length > size || !readable(packet, at, size)) return std::nullopt;
      return at + offset;
    }
    at += (size + 3) / 4 * 4;
  } while (at < packet.size());
  return std::nullopt;
}

bool has_dccp_option(ByteSpan packet, const Dissection& dissection, std::uint8_t type) {
  constexpr std::uint8_t kLastOfOneByte = 31;
  constexpr std::size_t kFixed = 12;
  if (dissection.protocol != protocol::kDccp || dissection.fragment_offset != 0) return false;
  const std::size_t start = dissection.transport;
  if (!readable(packet, start, kFixed)) return false;
  const std::size_t data = std::size_t{packet[start + 4]} * 4;
  const std::size_t options = dccp_header_size(packet.data() + start);
  for (std::size_t at = options; at < data;) {
    const std::size_t left = data - at;
    if (!readable(packet, start + at, left < 2 ? left : 2)) return false;
    const std::uint8_t* option = packet.data() + start + at;
    if (option[0] == type) return true;
    if (option[0] <= kLastOfOneByte) {
      ++at;
      continue;
    }
    if (left < 2 || option[1] < 2) return false;
    at += option[1];
  }
  return false;
}

}  // namespace rolewall::eval
