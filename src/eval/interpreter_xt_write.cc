// Targets of iptables that write into the packet: net/netfilter/xt_TCPMSS.c, xt_TCPOPTSTRIP.c,
// xt_DSCP.c, xt_HL.c, net/ipv4/netfilter/ipt_ECN.c.
#include <algorithm>
#include <array>

#include "eval/checksum.h"
#include "eval/dissect.h"
#include "eval/exthdr.h"
#include "eval/interpreter.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

constexpr std::size_t kTcpFixed = 20;
constexpr std::size_t kChecksumAt = 16;
constexpr std::uint8_t kNopOption = 1;

// Two bytes at an even place become others, and the checksum follows (csum_replace2()).
void replace_word(std::uint8_t* checksum, std::uint8_t* at, std::uint16_t to) {
  std::array<std::uint8_t, 2> bytes{};
  put_be16(bytes.data(), to);
  put_be16(checksum, mended_checksum(be16(checksum), {at, 2}, bytes));
  std::ranges::copy(bytes, at);
}

void write_dsfield(Frame& frame, std::uint8_t value) {
  std::uint8_t* bytes = frame.own_bytes().data();
  const std::uint16_t word = be16(bytes);
  if (frame.ipv6) {
    put_be16(bytes, (word & 0xf00fU) | std::uint32_t{value} << 4);
  } else {
    replace_word(bytes + ipv4::kChecksum, bytes,
                 static_cast<std::uint16_t>((word & 0xff00U) | value));
  }
}

std::uint8_t dsfield_of(const Frame& frame) {
  return static_cast<std::uint8_t>(frame.ipv6 ? be16(frame.bytes.data()) >> 4 : frame.bytes[1]);
}

// Where the targets look for the TCP header: in IPv6 past all extensions (ipv6_skip_exthdr()).
// Absent: the headers are cut off.
std::optional<std::size_t> tcp_offset(const Frame& frame) {
  if (!frame.ipv6) return ipv4::header_size(frame.bytes);
  const auto found =
      skip_ipv6_extensions(frame.bytes, ipv6::kHeaderSize, frame.bytes[ipv6::kNextHeader]);
  if (!found) return std::nullopt;
  return found->offset;
}

// optlen()
std::size_t option_size_at(const std::uint8_t* tcp, std::size_t at) {
  return tcp[at] <= kNopOption || tcp[at + 1] == 0 ? 1 : tcp[at + 1];
}

// The option that was not there, before all others.
void add_segment_size(Frame& frame, std::size_t tcp_at, std::uint16_t size) {
  constexpr std::size_t kOption = 4;
  std::vector<std::uint8_t>& bytes = frame.own_bytes();
  const std::array<std::uint8_t, kOption> option{2, 4, static_cast<std::uint8_t>(size >> 8),
                                                 static_cast<std::uint8_t>(size)};
  const std::size_t length = bytes.size() - tcp_at;
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(tcp_at + kTcpFixed), option.begin(),
               option.end());
  frame.bytes = bytes;
  std::uint8_t* tcp = bytes.data() + tcp_at;
  std::uint16_t checksum = be16(tcp + kChecksumAt);
  std::array<std::uint8_t, 2> before{};
  std::array<std::uint8_t, 2> after{};
  put_be16(before.data(), static_cast<std::uint32_t>(length));
  put_be16(after.data(), static_cast<std::uint32_t>(length + kOption));
  checksum = mended_checksum(checksum, before, after);
  const std::array<std::uint8_t, kOption> nothing{};
  checksum = mended_checksum(checksum, nothing, option);
  put_be16(tcp + kChecksumAt, checksum);
  replace_word(tcp + kChecksumAt, tcp + 12, static_cast<std::uint16_t>(be16(tcp + 12) + 0x1000));
  if (frame.ipv6) {
    put_be16(bytes.data() + ipv6::kPayloadLength,
             be16(bytes.data() + ipv6::kPayloadLength) + kOption);
  } else {
    replace_word(bytes.data() + ipv4::kChecksum, bytes.data() + ipv4::kTotalLength,
                 static_cast<std::uint16_t>(be16(bytes.data() + ipv4::kTotalLength) + kOption));
  }
}

}  // namespace

// tcpmss_mangle_packet(). The path's size is the kernel's to know: no smaller than the least that
// every link has.
Interpreter::Next Interpreter::run_xt_target(const r::XtSetMss& target) {
  constexpr std::size_t kOption = 4;
  const auto tcp_at = tcp_offset(*frame_);
  if (!tcp_at) return xt_drops();
  if (frame_->dissection.fragment_offset != 0) return Next::Expression;
  if (*tcp_at > frame_->bytes.size()) return xt_drops();
  const std::size_t length = frame_->bytes.size() - *tcp_at;
  if (length < kTcpFixed) return xt_drops();
  const std::uint8_t* tcp = frame_->bytes.data() + *tcp_at;
  const std::size_t header = (tcp[12] >> 4) * std::size_t{4};
  if (length < header || header < kTcpFixed) return xt_drops();
  if (*tcp_at + header > frame_->known()) return undecided("bytes that the capture has cut off");
  for (std::size_t i = kTcpFixed; i + kOption <= header; i += option_size_at(tcp, i)) {
    if (tcp[i] != 2 || tcp[i + 1] != kOption) continue;
    const std::uint16_t now = be16(tcp + i + 2);
    if (!target.size) {
      const std::size_t at = *tcp_at + i + 2;
      const std::size_t checksum = *tcp_at + kChecksumAt;
      frame_->unsure.push_back({at, at + 2, "tcp option maxseg, clamped to the path's"});
      frame_->unsure.push_back({checksum, checksum + 2, "the TCP checksum"});
      return Next::Expression;
    }
    if (now <= *target.size) return Next::Expression;
    std::uint8_t* own = frame_->own_bytes().data() + *tcp_at;
    const std::array<std::uint8_t, 2> from{own[i + 2], own[i + 3]};
    std::array<std::uint8_t, 2> to{};
    put_be16(to.data(), *target.size);
    // The kernel does not mind whether the option stands at an even place.
    put_be16(own + kChecksumAt, mended_checksum(be16(own + kChecksumAt), from, to));
    std::ranges::copy(to, own + i + 2);
    return Next::Expression;
  }
  constexpr std::size_t kLargestHeader = 60;
  if (length > header || header >= kLargestHeader) return Next::Expression;
  const std::uint16_t usual = frame_->ipv6 ? 1220 : 536;
  add_segment_size(*frame_, *tcp_at, std::min(target.size.value_or(usual), usual));
  return Next::Expression;
}

// tcpoptstrip_mangle_packet()
Interpreter::Next Interpreter::run_xt_target(const r::XtStripOptions& target) {
  const auto tcp_at = tcp_offset(*frame_);
  if (!tcp_at) return xt_drops();
  if (frame_->dissection.fragment_offset != 0) return Next::Expression;
  if (!readable(frame_->bytes, *tcp_at, kTcpFixed)) return xt_drops();
  const std::size_t header = (frame_->bytes[*tcp_at + 12] >> 4) * std::size_t{4};
  if (header < kTcpFixed || !readable(frame_->bytes, *tcp_at, header)) return xt_drops();
  if (*tcp_at + header > frame_->known()) return undecided("bytes that the capture has cut off");
  std::uint8_t* tcp = frame_->own_bytes().data() + *tcp_at;
  std::size_t size = 0;
  for (std::size_t i = kTcpFixed; i < header - 1; i += size) {
    size = option_size_at(tcp, i);
    if (i + size > header) break;
    const std::uint8_t type = tcp[i];
    if ((target.options[type / 32] >> type % 32 & 1) == 0) continue;
    blank_tcp_option(tcp, {.offset = i, .size = size});
  }
  return Next::Expression;
}

// dscp_tg(), tos_tg() and those of IPv6
Interpreter::Next Interpreter::run_xt_target(const r::XtSetTos& target) {
  const std::uint8_t now = dsfield_of(*frame_);
  const auto then = static_cast<std::uint8_t>((now & ~target.mask) ^ target.value);
  if (then != now) write_dsfield(*frame_, then);
  return Next::Expression;
}

// ttl_tg(), hl_tg6()
Interpreter::Next Interpreter::run_xt_target(const r::XtSetTtl& target) {
  using Does = r::XtSetTtl::Does;
  const std::size_t at = frame_->ipv6 ? ipv6::kHopLimit : ipv4::kTtl;
  const int now = frame_->bytes[at];
  int then = target.value;
  if (target.does == Does::Adds) then = std::min(now + target.value, 255);
  if (target.does == Does::Subtracts) then = std::max(now - target.value, 0);
  if (then == now) return Next::Expression;
  std::uint8_t* bytes = frame_->own_bytes().data();
  if (frame_->ipv6) {
    bytes[at] = static_cast<std::uint8_t>(then);
  } else {
    replace_word(bytes + ipv4::kChecksum, bytes + at,
                 static_cast<std::uint16_t>(then << 8 | bytes[at + 1]));
  }
  return Next::Expression;
}

// ecn_tg(): set_ect_ip(), set_ect_tcp()
Interpreter::Next Interpreter::run_xt_target(const r::XtSetEcn& target) {
  if (target.ip) {
    const std::uint8_t now = dsfield_of(*frame_);
    const auto then = static_cast<std::uint8_t>((now & ~3U) | (target.ip_value & 3U));
    if ((now & 3) != (target.ip_value & 3)) write_dsfield(*frame_, then);
  }
  if (!target.echo && !target.reduced) return Next::Expression;
  const std::size_t at = ipv4::header_size(frame_->bytes);
  if (!readable(frame_->bytes, at, kTcpFixed)) return xt_drops();
  std::uint8_t flags = frame_->bytes[at + 13];
  if (target.echo)
    flags = static_cast<std::uint8_t>((flags & ~0x40U) | (target.echo_value ? 0x40U : 0U));
  if (target.reduced) {
    flags = static_cast<std::uint8_t>((flags & ~0x80U) | (target.reduced_value ? 0x80U : 0U));
  }
  if (flags == frame_->bytes[at + 13]) return Next::Expression;
  std::uint8_t* tcp = frame_->own_bytes().data() + at;
  replace_word(tcp + kChecksumAt, tcp + 12, static_cast<std::uint16_t>(tcp[12] << 8 | flags));
  return Next::Expression;
}

}  // namespace rolewall::eval
