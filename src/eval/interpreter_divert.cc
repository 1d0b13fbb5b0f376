// The interpreter's expressions that take packets elsewhere than their way leads: net/netfilter/
// nft_tproxy.c, nft_synproxy.c, nft_dup_netdev.c and the families' nft_dup_ipv4.c,
// nft_fwd_netdev.c.
#include <fmt/format.h>

#include "eval/checksum.h"
#include "eval/exthdr.h"
#include "eval/interpreter.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

// What a program of this host sends has its checksum made later.
bool has_wrong_checksum(const Frame& frame) {
  if (frame.hook == ruleset::Hook::Output || frame.hook == ruleset::Hook::Postrouting) return false;
  const std::size_t size = frame.ipv6 ? 16 : 4;
  const ByteSpan source = frame.bytes.subspan(frame.ipv6 ? ipv6::kSource : ipv4::kSource, size);
  const ByteSpan destination =
      frame.bytes.subspan(frame.ipv6 ? ipv6::kDestination : ipv4::kDestination, size);
  return transport_checksum(source, destination, protocol::kTcp,
                            frame.bytes.subspan(frame.dissection.transport)) != 0;
}

}  // namespace

// Of what arrives. What a program sends may have a socket that no list shows.
bool Interpreter::has_no_transparent_socket() const {
  const bool arrives =
      frame_->hook == ruleset::Hook::Prerouting || frame_->hook == ruleset::Hook::Input;
  return arrives && frame_->host->has_transparent_sockets == false;
}

// To a socket that listens on the address given, or has the connection already. What it listens on
// is the host's to know. (A later fragment's first bytes pass for ports in IPv4.)
Interpreter::Next Interpreter::run_tproxy(const ruleset::Tproxy& tproxy) {
  constexpr std::size_t kPorts = 8;  // a UDP header is read of TCP too
  const Dissection& dissection = frame_->dissection;
  const auto family =
      static_cast<std::uint8_t>(frame_->ipv6 ? ruleset::Family::Ip6 : ruleset::Family::Ip);
  if (tproxy.family != 0 && tproxy.family != family) return Next::Break;
  if (!dissection.has_protocol ||
      (dissection.protocol != protocol::kTcp && dissection.protocol != protocol::kUdp) ||
      !readable(frame_->bytes, dissection.transport, kPorts)) {
    return Next::Break;
  }
  if (has_no_transparent_socket()) return Next::Break;
  const bool taken = choose_whether("a transparent socket takes it");
  frame_->has_socket |= taken;
  return taken ? Next::Expression : Next::Break;
}

// A SYN is answered in the server's stead; the ACK to that answer proves the client by a cookie,
// whose secret is the kernel's.
Interpreter::Next Interpreter::run_synproxy(SynproxyOf whose) {
  constexpr std::size_t kFlags = 13;
  constexpr std::uint8_t kFin = 0x01;
  constexpr std::uint8_t kSyn = 0x02;
  constexpr std::uint8_t kRst = 0x04;
  constexpr std::uint8_t kAck = 0x10;
  const Dissection& dissection = frame_->dissection;
  if (!dissection.has_protocol || dissection.protocol != protocol::kTcp) return Next::Break;
  // Kernel 6.18 drops every TCP packet here; by the source of 6.12 it is as with IPv4.
  if (frame_->ipv6) return undecided("a SYN proxy of IPv6, about which kernels differ");
  const auto drop = [&] {
    target_ = {.code = ruleset::VerdictCode::Drop};
    return Next::Verdict;
  };
  const auto steal = [&](const char* reason) {
    reason_ = reason;
    target_ = {.code = ruleset::VerdictCode::Drop, .stolen = true};
    return Next::Verdict;
  };
  const TcpHeader header = tcp_header(frame_->bytes, dissection);
  if (header.bytes.empty() || has_wrong_checksum(*frame_)) return drop();
  const std::uint8_t flags = header.bytes[kFlags];
  const std::uint8_t kind = flags & (kFin | kSyn | kRst | kAck);
  // synproxy_tg4() of ipt_SYNPROXY.c; nft_synproxy_eval_v4() of nft_synproxy.c.
  if (whose == SynproxyOf::Iptables && kind != kSyn && kind != kAck) return Next::Expression;
  if ((flags & kSyn) != 0) return steal("answered by the SYN proxy instead of the server");
  if ((flags & kAck) == 0) return Next::Expression;
  if (!choose_whether("the ACK has the SYN proxy's cookie")) return drop();
  return steal("taken by the SYN proxy, which now opens the connection to the server");
}

// The packet itself goes on. The copy is a packet of its own, which is not followed.
Interpreter::Next Interpreter::run_dup(const ruleset::Dup& /*dup*/) {
  return Next::Expression;
}

Interpreter::Next Interpreter::run_fwd(const ruleset::Fwd& fwd) {
  if (fwd.address) {
    const auto family =
        static_cast<std::uint32_t>(frame_->ipv6 ? ruleset::Family::Ip6 : ruleset::Family::Ip);
    if (fwd.family != family) return Next::Break;
    const std::uint8_t hops = frame_->bytes[frame_->ipv6 ? ipv6::kHopLimit : ipv4::kTtl];
    if (hops <= 1) {
      target_ = {.code = ruleset::VerdictCode::Drop};
      return Next::Verdict;
    }
  }
  const std::uint32_t index = word(fwd.device);
  std::string device = fmt::format("of index {}", index);
  for (const ruleset::Interface& interface : frame_->host->interfaces) {
    if (interface.index == index && index != 0) device = interface.device;
  }
  if (unknown_among(fwd.device, sizeof(index)) != 0) device = "that is not known";
  reason_ = fmt::format("sent out by the device {}, past the IP stack", device);
  target_ = {.code = ruleset::VerdictCode::Drop, .stolen = true};
  return Next::Verdict;
}

}  // namespace rolewall::eval
