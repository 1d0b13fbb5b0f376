// The interpreter's loads of what the host knows or draws: net/netfilter/nft_numgen.c, nft_hash.c,
// nft_rt.c, nft_socket.c, nft_osf.c, nft_tunnel.c. Where the answer is one of a few and not given,
// one is chosen and listed among the conditions; where it could be anything, the register is
// unknown (interpreter_unknown.cc).
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eval/exthdr.h"
#include "eval/interpreter.h"
#include "net/address.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using ruleset::Hook;
using ruleset::RtKey;

std::string_view name_of(RtKey key) {
  switch (key) {
    case RtKey::ClassId:
      return "rt classid";
    case RtKey::NextHop4:
      return "rt ip nexthop";
    case RtKey::NextHop6:
      return "rt ip6 nexthop";
    case RtKey::TcpMss:
      return "rt mtu";
    case RtKey::Xfrm:
      return "rt ipsec";
  }
  return "";
}

Format format_of(RtKey key) {
  switch (key) {
    case RtKey::NextHop4:
      return Format::Ipv4Address;
    case RtKey::NextHop6:
      return Format::Ipv6Address;
    case RtKey::ClassId:
    case RtKey::TcpMss:
    case RtKey::Xfrm:
      return Format::HostNumber;
  }
  return Format::Hex;
}

constexpr std::uint32_t kMostEnumerated = 16;

}  // namespace

Interpreter::Next Interpreter::draw(ruleset::Register to, const std::string& about,
                                    std::uint32_t modulus, std::uint32_t offset) {
  if (modulus > kMostEnumerated) {
    return store_unknown(to, sizeof(modulus), about, Format::HostNumber);
  }
  std::vector<std::string> answers;
  for (std::uint32_t i = 0; i < modulus; ++i) answers.push_back(fmt::format("{}", offset + i));
  store_word(to, offset + static_cast<std::uint32_t>(choose(about, answers)));
  return Next::Expression;
}

Interpreter::Next Interpreter::run_numgen(const ruleset::Numgen& numgen, CellIndex cell) {
  switch (numgen.kind) {
    case ruleset::NumgenKind::Incremental:
      assume_unspent("a numgen inc");
      store_word(numgen.destination, numgen.offset + state_.next_number(cell, numgen.modulus));
      return Next::Expression;
    case ruleset::NumgenKind::Random:
      return draw(numgen.destination,
                  words_tests_ ? fmt::format("numgen random mod {}", numgen.modulus) : "",
                  numgen.modulus, numgen.offset);
  }
  return Next::Break;
}

Interpreter::Next Interpreter::run_rt(const ruleset::Rt& rt) {
  // No route has been looked up yet.
  if (frame_->hook == Hook::Prerouting && frame_->in_device != kLoopbackDevice) return Next::Break;
  if (rt.key == ruleset::RtKey::Xfrm) {  // no policy of IPsec's
    store_byte(rt.destination, 0);
    return Next::Expression;
  }
  return store_unknown(rt, std::string(name_of(rt.key)), format_of(rt.key));
}

Interpreter::Next Interpreter::run_socket(const ruleset::Socket& socket) {
  const bool is_bit =
      socket.key == ruleset::SocketKey::Transparent || socket.key == ruleset::SocketKey::Wildcard;
  if (!is_bit) {
    if (!choose_whether("the packet has a local socket")) return Next::Break;
    const bool mark = socket.key == ruleset::SocketKey::Mark;
    return store_unknown(
        socket, mark ? "socket mark" : fmt::format("socket cgroupv2 level {}", socket.level),
        Format::HostNumber);
  }
  static const std::array<std::string, 3> kAnswers{"there is none", "0", "1"};
  const bool transparent = socket.key == ruleset::SocketKey::Transparent;
  // What arrives has a socket of TCP or UDP, if any.
  const bool never = transparent && has_no_transparent_socket();
  const std::size_t answer =
      choose(transparent ? "socket transparent" : "socket wildcard",
             std::span(kAnswers).first(never ? kAnswers.size() - 1 : kAnswers.size()));
  if (answer == 0) return Next::Break;
  store_byte(socket.destination, static_cast<std::uint8_t>(answer - 1));
  return Next::Expression;
}

Interpreter::Next Interpreter::run_osf(const ruleset::Osf& osf) {
  constexpr std::size_t kFlags = 13;
  constexpr std::uint8_t kSyn = 2;
  const TcpHeader header = tcp_header(frame_->bytes, frame_->dissection);
  if (header.bytes.empty() || (header.bytes[kFlags] & kSyn) == 0) return Next::Break;
  return store_unknown(osf, "osf name", Format::Name);
}

// The packet came through no tunnel and no transform.
Interpreter::Next Interpreter::run_tunnel(const ruleset::Tunnel& tunnel) {
  if (tunnel.key == ruleset::TunnelKey::Id) return Next::Break;
  store_byte(tunnel.destination, 0);
  return Next::Expression;
}

}  // namespace rolewall::eval
