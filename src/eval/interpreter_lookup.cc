// The interpreter's loads of what the host knows or draws: net/netfilter/nft_numgen.c, nft_hash.c,
// nft_fib.c, nft_rt.c, nft_socket.c, nft_osf.c, nft_tunnel.c, nft_xfrm.c. Where the answer is one
// of a few and not given, one is chosen and listed among the conditions; where it could be
// anything, the rule is undecided.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eval/exthdr.h"
#include "eval/interpreter.h"
#include "net/address.h"

namespace rolewall::eval {
namespace {

using ruleset::Hook;

constexpr std::uint32_t kMostEnumerated = 16;

net::Address address_at(const Frame& frame, bool source) {
  if (frame.ipv6) {
    return net::ipv6_from_bytes(frame.bytes.data() + (source ? ipv6::kSource : ipv6::kDestination));
  }
  return net::ipv4_from_bytes(frame.bytes.data() + (source ? ipv4::kSource : ipv4::kDestination));
}

bool comes_by_loopback(const Frame& frame) {
  return (frame.hook == Hook::Prerouting || frame.hook == Hook::Input) &&
         frame.in_device == kLoopbackDevice;
}

}  // namespace

std::size_t Interpreter::choose(const std::string& about, std::span<const std::string> answers) {
  const std::size_t answer = choices_.choose(answers.size());
  frame_->conditions.push_back({about, answers[answer]});
  return answer;
}

Interpreter::Next Interpreter::draw(ruleset::Register to, const std::string& about,
                                    std::uint32_t modulus, std::uint32_t offset) {
  if (modulus > kMostEnumerated) return undecided(fmt::format("{}, which is not known", about));
  std::vector<std::string> answers;
  for (std::uint32_t i = 0; i < modulus; ++i) answers.push_back(fmt::format("{}", offset + i));
  store_word(to, offset + static_cast<std::uint32_t>(choose(about, answers)));
  return Next::Expression;
}

Interpreter::Next Interpreter::run_numgen(const ruleset::Numgen& numgen, CellIndex cell) {
  switch (numgen.kind) {
    case ruleset::NumgenKind::Incremental:
      store_word(numgen.destination, numgen.offset + state_.next_number(cell, numgen.modulus));
      return Next::Expression;
    case ruleset::NumgenKind::Random:
      return draw(numgen.destination, fmt::format("numgen random mod {}", numgen.modulus),
                  numgen.modulus, numgen.offset);
  }
  return Next::Break;
}

// inet_dev_addr_type() of net/ipv4/fib_frontend.c asks the local table alone, where what is not
// listed is unicast; nft_fib6_eval_type() of net/ipv6/netfilter/nft_fib_ipv6.c looks up a route.
Interpreter::Next Interpreter::run_fib(const ruleset::Fib& fib) {
  using ruleset::RouteType;
  namespace flag = ruleset::fib_flag;
  const bool source = (fib.flags & flag::kSource) != 0;
  const bool by_device = (fib.flags & (flag::kIif | flag::kOif)) != 0;
  const net::Address asked = address_at(*frame_, source);
  const std::string text = net::format(asked);
  if (fib.result != ruleset::FibResult::AddressType) {
    // What came in by a device leads back by it, or by none that counts.
    if (fib.result != ruleset::FibResult::Oif || (fib.flags & flag::kPresent) == 0 || !source ||
        (fib.flags & flag::kIif) == 0) {
      return undecided("a route that is looked up");
    }
    static const std::array<std::string, 2> kAnswers{"there is one", "there is none"};
    const bool skipped = comes_by_loopback(*frame_);
    const bool found =
        skipped ||
        choose(fmt::format("the route to {} by {}", text, frame_->in_device), kAnswers) == 0;
    store_byte(fib.destination, found ? 1 : 0);
    return Next::Expression;
  }
  if (by_device) return undecided("the type of an address on one device");
  const auto is = [&](RouteType type) {
    store_word(fib.destination, static_cast<std::uint32_t>(type));
    return Next::Expression;
  };
  const std::uint8_t first =
      frame_->bytes[frame_->ipv6 ? (source ? ipv6::kSource : ipv6::kDestination)
                                 : (source ? ipv4::kSource : ipv4::kDestination)];
  if (frame_->ipv6 ? first == 0xff : first >> 4 == 14) return is(RouteType::Multicast);
  if (!frame_->ipv6 && (first == 0 || text == "255.255.255.255")) return is(RouteType::Broadcast);
  const auto own = [&](const std::vector<net::Prefix>& addresses) {
    return std::ranges::any_of(addresses, [&](const net::Prefix& p) {
      return net::first(p) <= asked && asked <= net::last(p);
    });
  };
  if (own(frame_->host->addresses) || own(frame_->host->virtual_addresses) ||
      (!frame_->ipv6 && first == 127) || text == "::1") {
    return is(RouteType::Local);
  }
  static const std::array<std::string, 2> kIpv4{"unicast", "broadcast"};
  static const std::array<std::string, 2> kIpv6{"unicast", "unreachable"};
  const bool unicast =
      choose(fmt::format("the type of {}", text), frame_->ipv6 ? kIpv6 : kIpv4) == 0;
  const RouteType other = frame_->ipv6 ? RouteType::Unreachable : RouteType::Broadcast;
  return is(unicast ? RouteType::Unicast : other);
}

Interpreter::Next Interpreter::run_rt(const ruleset::Rt& rt) {
  // No route has been looked up yet.
  if (frame_->hook == Hook::Prerouting && frame_->in_device != kLoopbackDevice) return Next::Break;
  if (rt.key == ruleset::RtKey::Xfrm) {  // no policy of IPsec's
    store_byte(rt.destination, 0);
    return Next::Expression;
  }
  return undecided("what the packet's route says");
}

Interpreter::Next Interpreter::run_socket(const ruleset::Socket& socket) {
  const bool is_bit =
      socket.key == ruleset::SocketKey::Transparent || socket.key == ruleset::SocketKey::Wildcard;
  if (!is_bit) return undecided("what the packet's socket says");
  static const std::array<std::string, 3> kAnswers{"there is none", "0", "1"};
  const std::size_t answer = choose(
      socket.key == ruleset::SocketKey::Transparent ? "socket transparent" : "socket wildcard",
      kAnswers);
  if (answer == 0) return Next::Break;
  store_byte(socket.destination, static_cast<std::uint8_t>(answer - 1));
  return Next::Expression;
}

Interpreter::Next Interpreter::run_osf() {
  constexpr std::size_t kFlags = 13;
  constexpr std::uint8_t kSyn = 2;
  const TcpHeader header = tcp_header(frame_->bytes, frame_->dissection);
  if (header.bytes.empty() || (header.bytes[kFlags] & kSyn) == 0) return Next::Break;
  return undecided("the operating system that a SYN looks like");
}

// The packet came through no tunnel and no transform.
Interpreter::Next Interpreter::run_tunnel(const ruleset::Tunnel& tunnel) {
  if (tunnel.key == ruleset::TunnelKey::Id) return Next::Break;
  store_byte(tunnel.destination, 0);
  return Next::Expression;
}

}  // namespace rolewall::eval
