#include "exchange.h"

#include <algorithm>
#include <span>

#include "breakage.h"
#include "eval/checksum.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::corpus {
namespace {

using kernel_judge::Question;
namespace ipv4 = eval::ipv4;
namespace ipv6 = eval::ipv6;
namespace protocol = net::protocol;

constexpr std::uint8_t kTtl = 64;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint32_t kFirstNumber = 5000;  // of the side that answers

void swap_bytes(eval::Packet& packet, std::size_t a, std::size_t b, std::size_t size) {
  std::swap_ranges(packet.bytes.begin() + static_cast<std::ptrdiff_t>(a),
                   packet.bytes.begin() + static_cast<std::ptrdiff_t>(a + size),
                   packet.bytes.begin() + static_cast<std::ptrdiff_t>(b));
}

// SYN, SYN and ACK, ACK; and acknowledgements from then on.
void answer_tcp(std::span<std::uint8_t> tcp) {
  const std::uint32_t sequence = eval::be32(tcp.data() + 4);
  const std::uint32_t acknowledged = eval::be32(tcp.data() + 8);
  const bool opens = (tcp[13] & kSyn) != 0;
  const bool answered = (tcp[13] & kAck) != 0;
  tcp[12] = 5 << 4;
  tcp[13] = opens && !answered ? kSyn | kAck : kAck;
  eval::put_be32(tcp.data() + 4, answered ? acknowledged : kFirstNumber);
  eval::put_be32(tcp.data() + 8, sequence + (opens ? 1 : 0));
  eval::put_be16(tcp.data() + 14, 64240);
}

// False: it is no request.
bool answer_icmp(eval::Packet& packet, std::size_t start, bool is_ipv6) {
  const std::uint8_t request = is_ipv6 ? 128 : 8;
  const std::uint8_t reply = is_ipv6 ? 129 : 0;
  std::uint8_t& type = packet.bytes[start];
  if (type != request && type != reply) return false;
  type = type == request ? reply : request;
  eval::put_be16(packet.bytes.data() + start + 2, 0);
  const std::span<const std::uint8_t> bytes(packet.bytes);
  const std::uint16_t sum = is_ipv6
                                ? eval::transport_checksum(bytes.subspan(ipv6::kSource, 16),
                                                           bytes.subspan(ipv6::kDestination, 16),
                                                           protocol::kIcmpv6, bytes.subspan(start))
                                : eval::internet_checksum(bytes.subspan(start));
  eval::put_be16(packet.bytes.data() + start + 2, sum);
  return true;
}

bool answer(eval::Packet& packet, bool is_ipv6) {
  const std::size_t start = is_ipv6 ? ipv6::kHeaderSize : ipv4::kHeaderSize;
  const std::uint8_t kind = packet.bytes[is_ipv6 ? ipv6::kNextHeader : ipv4::kProtocol];
  const std::size_t size = packet.bytes.size() - start;
  if (is_ipv6) {
    swap_bytes(packet, ipv6::kSource, ipv6::kDestination, 16);
    packet.bytes[ipv6::kHopLimit] = kTtl;
  } else {
    swap_bytes(packet, ipv4::kSource, ipv4::kDestination, 4);
    packet.bytes[ipv4::kTtl] = kTtl;
    kernel_judge::fix_header_checksum(packet);
  }
  if (kind == protocol::kIcmp || kind == protocol::kIcmpv6) {
    const bool own = kind == (is_ipv6 ? protocol::kIcmpv6 : protocol::kIcmp);
    return own && size >= 8 && answer_icmp(packet, start, is_ipv6);
  }
  if (kind == protocol::kTcp) {
    if (size < 20) return false;
    answer_tcp(std::span(packet.bytes).subspan(start));
  } else if (kind != protocol::kUdp || size < 8) {
    return false;
  }
  swap_bytes(packet, start, start + 2, 2);
  kernel_judge::fix_transport_checksum(packet);
  return true;
}

bool is_whole(const eval::Packet& packet, bool is_ipv6) {
  const auto& bytes = packet.bytes;
  if (is_ipv6) return bytes.size() >= ipv6::kHeaderSize && bytes[ipv6::kDestination] != 0xff;
  return bytes.size() >= ipv4::kHeaderSize && bytes[0] == 0x45 &&
         bytes[ipv4::kDestination] < 0xe0 && bytes[ipv4::kDestination] != 127 &&
         (eval::be16(bytes.data() + ipv4::kFragment) &
          (ipv4::kMoreFragments | ipv4::kOffsetMask)) == 0;
}

}  // namespace

std::optional<Question> answer_to(const Question& said, const sandbox::Observation& seen) {
  if (seen.fate() != sandbox::Fate::Accept || !seen.after || seen.leaves_by == "lo" ||
      said.packet.in_device == "lo") {
    return std::nullopt;
  }
  Question answered;
  answered.packet.ether_type = said.packet.ether_type;
  answered.packet.bytes = *seen.after;
  const bool is_ipv6 = said.packet.ether_type == eval::kEtherTypeIpv6;
  if (!is_whole(answered.packet, is_ipv6) || !answer(answered.packet, is_ipv6)) return std::nullopt;
  if (seen.leaves_by.empty()) {
    answered.outbound = true;  // it was for this host
    answered.packet.user = 0;
    answered.packet.group = 0;
  } else {
    answered.packet.in_device = seen.leaves_by;
  }
  return answered;
}

}  // namespace rolewall::corpus
