// Matches of iptables: nft_match_eval() of net/netfilter/nft_compat.c, and of each match what it
// says. What reads the packet alone is in xt_matches.h, what asks the connection or the host in
// interpreter_xt_flow.cc and interpreter_xt_host.cc, what remembers here.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/interpreter.h"
#include "eval/ticks.h"
#include "eval/xt_matches.h"
#include "net/address.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

r::XtFamily family_of_packet(const Frame& frame) {
  return frame.ipv6 ? r::XtFamily::Ipv6 : r::XtFamily::Ipv4;
}

// proto_ports_offset() of include/linux/in.h: where a protocol has its ports.
std::optional<std::size_t> ports_offset(std::uint8_t protocol) {
  constexpr std::uint8_t kEsp = 50;
  constexpr std::uint8_t kAh = 51;
  switch (protocol) {
    case net::protocol::kTcp:
    case net::protocol::kUdp:
    case net::protocol::kDccp:
    case net::protocol::kSctp:
    case net::protocol::kUdpLite:
    case kEsp:
      return 0;
    case kAh:
      return 4;
    default:
      return std::nullopt;
  }
}

// An address as /proc/net/xt_recent has it (recent_seq_show()): of IPv6 every digit.
std::string as_listed(const std::vector<std::uint8_t>& address) {
  std::string text;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (address.size() == 4) {
      text += fmt::format("{}{}", i == 0 ? "" : ".", address[i]);
    } else {
      text += fmt::format("{}{:02x}", i == 0 || i % 2 != 0 ? "" : ":", address[i]);
    }
  }
  return text;
}

}  // namespace

Interpreter::Next Interpreter::run_xt_match(const r::XtMatch& match,
                                            const Program::XtMatch& ready) {
  if (const auto* limit = std::get_if<r::XtConnlimit>(&ready.meaning)) {
    return run_xt_connlimit(*limit, ready.cell);
  }
  XtPacket packet(*frame_);
  const std::optional<bool> holds = xt_match_holds(match, ready, packet);
  if (packet.cut_off) return undecided("bytes that the capture has cut off");
  if (!packet.unsure.empty()) {
    const bool chosen = choose_whether(
        fmt::format("{} matches {}", in_words(match, family_of_packet(*frame_)), packet.unsure));
    return chosen ? Next::Expression : Next::Break;
  }
  if (packet.dropped) return xt_drops();
  if (!holds) return Next::Undecided;
  return *holds ? Next::Expression : Next::Break;
}

Interpreter::Next Interpreter::xt_drops() {
  target_ = {.code = r::VerdictCode::Drop};
  return Next::Verdict;
}

std::optional<bool> Interpreter::xt_match_holds(const r::XtMatch& match,
                                                const Program::XtMatch& ready, XtPacket& packet) {
  using Answer = std::optional<bool>;
  // What only the host knows.
  const auto chosen = [&]() -> Answer {
    return choose_whether(in_words(match, family_of_packet(*frame_)) + " matches");
  };
  return visit_closed(
      Overloaded{
          [](const r::XtComment&) -> Answer { return true; },
          [&](const OneOf<r::XtTcp, r::XtUdp, r::XtMultiport, r::XtSctp, r::XtDccp, r::XtIcmp,
                          r::XtEsp, r::XtAh, r::XtIprange, r::XtTos, r::XtTtl, r::XtEcn,
                          r::XtTcpmss, r::XtU32, r::XtString, r::XtFrag, r::XtOptions, r::XtRouting,
                          r::XtMobility, r::XtIpv6header> auto& m) -> Answer {
            return xt_holds(m, packet);
          },
          [&](const OneOf<r::XtMark, r::XtState, r::XtConntrack, r::XtConnbytes, r::XtConnlabel,
                          r::XtHelper, r::XtAddrtype, r::XtRpfilter, r::XtMac, r::XtOwner,
                          r::XtCgroup, r::XtDevgroup, r::XtPhysdev, r::XtTime, r::XtSocket,
                          r::XtRecent> auto& m) -> Answer { return xt_asks(m); },
          [&](const OneOf<r::XtLimit, r::XtQuota, r::XtStatistic> auto& m) -> Answer {
            return xt_asks(m, ready.cell);
          },
          [&](const r::XtHashlimit& m) -> Answer { return xt_asks(m, packet); },
          // Of IPv6 it is what lies there (skb->len), of IPv4 what the header says.
          [&](const r::XtLength& m) -> Answer {
            frame_->reads.length = true;
            const std::uint32_t length =
                frame_->ipv6 ? frame_->length() : be16(packet.read(ipv4::kTotalLength, 2));
            return (length >= m.bytes.first && length <= m.bytes.last) != m.bytes.inverted;
          },
          [&](const r::XtPkttype& m) -> Answer {
            return (static_cast<std::uint32_t>(frame_->type) == m.type) != m.inverted;
          },
          // No packet here went through a transform, nor will.
          [](const r::XtPolicy& m) -> Answer { return m.none; },
          [&](const r::XtSet& m) -> Answer { return xt_asks(m, packet); },
          [&](const OneOf<r::XtRealm, r::XtCpu> auto&) -> Answer { return chosen(); },
          [&](const r::XtEui64&) -> Answer { return chosen(); },
          [&](const r::XtConnlimit&) -> Answer { return chosen(); },  // run_xt_connlimit()
      },
      ready.meaning);
}

// --- what remembers ----------------------------------------------------------------------------

// xt_limit.c counts in ticks: credits come a tick late, or a tick's worth at once.
bool Interpreter::xt_asks(const r::XtLimit& match, CellIndex cell) {
  const r::Limit limit{.unit = r::LimitUnit::Packets,
                       .rate = r::XtLimit::kScale,
                       .per_seconds = match.period,
                       .burst = match.burst};
  Clock clock = clock_;
  if (clock.now_ns != 0) clock.error_ns += doubt_about_end_ns(0);
  std::optional<bool> within = state_.is_within_limit(limit, cell, frame_->length(), clock);
  if (!within) within = choose_whether("the limit still has tokens at this packet");
  state_.spend_limit(limit, cell, frame_->length(), clock, *within);
  return *within;
}

// xt_hashlimit.c: a list of limits that rules share by its name, and that outlives them. Ports that
// a packet should have and has not drop it (hashlimit_init_dst()).
bool Interpreter::xt_asks(const r::XtHashlimit& match, XtPacket& packet) {
  constexpr std::uint32_t kPorts = 2 | 8;  // of the destination, of the source
  if ((match.by & kPorts) != 0) {
    std::optional<std::size_t> at = packet.transport();
    std::uint8_t protocol = frame_->bytes[ipv4::kProtocol];
    if (frame_->ipv6) {
      const auto found =
          skip_ipv6_extensions(frame_->bytes, ipv6::kHeaderSize, frame_->bytes[ipv6::kNextHeader]);
      if (!found) return packet.drop();
      at = found->offset;
      protocol = found->protocol;
    }
    const std::optional<std::size_t> offset = ports_offset(protocol);
    if (offset && packet.read(*at + *offset, 4) == nullptr) return packet.drop();
  }
  return choose_whether(fmt::format("the hashlimit {} still has tokens", match.name)) !=
         match.above;
}

bool Interpreter::xt_asks(const r::XtQuota& match, CellIndex cell) {
  return state_.take_of_quota(cell, match.bytes, frame_->length()) != match.inverted;
}

bool Interpreter::xt_asks(const r::XtStatistic& match, CellIndex cell) {
  if (match.nth && match.every != 0xffffffff) {
    return (state_.next_number(cell, match.every + 1, match.count) == 0) != match.inverted;
  }
  return choose_whether("the packet is among those that -m statistic draws") != match.inverted;
}

// recent_mt(). A list that was read from the machine and does not hold the address holds what
// packets have noted since; of any other nothing is known.
bool Interpreter::xt_asks(const r::XtRecent& match) {
  using Does = r::XtRecent::Does;
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const std::size_t source = frame_->ipv6 ? ipv6::kSource : ipv4::kSource;
  const std::size_t destination = frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination;
  const ByteSpan bytes = frame_->bytes.subspan(match.by_destination ? destination : source, size);
  std::vector<std::uint8_t> masked(bytes.begin(), bytes.end());
  for (std::size_t i = 0; i < size; ++i) masked[i] &= match.mask[i];
  const std::string text = net::format(net::address_from_bytes(masked));
  const std::string key = as_listed(masked);
  const auto table =
      std::ranges::find(frame_->host->xt_tables, "xt_recent/" + match.name, &r::XtTable::name);
  const bool is_absent = table != frame_->host->xt_tables.end() &&
                         std::ranges::none_of(table->lines, [&](const std::string& line) {
                           return line.starts_with("src=" + key + " ");
                         });
  std::uint64_t& stamps = state_.noted("recent " + match.name, key);
  const auto chosen = [&] {
    return choose_whether(fmt::format("{} is in the recent list {} as -m recent asks", text,
                                      match.name)) != match.inverted;
  };
  switch (match.does) {
    case Does::Sets:
      ++stamps;
      return !match.inverted;
    case Does::Removes: {
      if (!is_absent) return chosen();
      const bool was_there = stamps != 0;
      stamps = 0;
      return was_there != match.inverted;
    }
    case Does::Checks:
    case Does::Updates: {
      const bool by_time = (match.seconds != 0 || match.same_ttl) && clock_.now_ns != 0;
      if (!is_absent || (stamps != 0 && by_time)) return chosen();
      const bool found = stamps != 0 && stamps >= match.hits;
      const bool holds = found != match.inverted;
      if (stamps != 0 && match.does == Does::Updates && holds) ++stamps;
      return holds;
    }
  }
  return false;
}

}  // namespace rolewall::eval
