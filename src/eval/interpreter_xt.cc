// Matches of iptables: nft_match_eval() of net/netfilter/nft_compat.c, and of each match what it
// says. What reads the packet alone is in xt_matches.h, what asks the connection or the host in
// interpreter_xt_flow.cc and interpreter_xt_host.cc, what remembers here.
#include <fmt/format.h>

#include <array>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "eval/interpreter.h"
#include "eval/ticks.h"
#include "eval/xt_matches.h"
#include "net/address.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

r::XtFamily family_of_packet(const Frame& frame) {
  return frame.ipv6 ? r::XtFamily::Ipv6 : r::XtFamily::Ipv4;
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
  return std::visit(
      Overloaded{
          [](const r::XtComment&) -> Answer { return true; },
          [&](const OneOf<r::XtTcp, r::XtUdp, r::XtMultiport, r::XtSctp, r::XtDccp, r::XtIcmp,
                          r::XtEsp, r::XtAh, r::XtIprange, r::XtTos, r::XtTtl, r::XtEcn,
                          r::XtTcpmss, r::XtU32, r::XtString, r::XtFrag, r::XtOptions,
                          r::XtRouting, r::XtMobility, r::XtIpv6header> auto& m) -> Answer {
            return xt_holds(m, packet);
          },
          [&](const OneOf<r::XtMark, r::XtState, r::XtConntrack, r::XtConnbytes, r::XtConnlabel,
                          r::XtHelper, r::XtAddrtype, r::XtRpfilter, r::XtMac, r::XtOwner,
                          r::XtCgroup, r::XtDevgroup, r::XtPhysdev, r::XtTime, r::XtSocket,
                          r::XtRecent> auto& m) -> Answer { return xt_asks(m); },
          [&](const OneOf<r::XtLimit, r::XtHashlimit, r::XtQuota, r::XtStatistic> auto& m)
              -> Answer { return xt_asks(m, ready.cell); },
          // Of IPv6 it is what lies there (skb->len), of IPv4 what the header says.
          [&](const r::XtLength& m) -> Answer {
            frame_->reads.length = true;
            const std::uint32_t length = frame_->ipv6
                                             ? frame_->length()
                                             : be16(packet.read(ipv4::kTotalLength, 2));
            return (length >= m.bytes.first && length <= m.bytes.last) != m.bytes.inverted;
          },
          [&](const r::XtPkttype& m) -> Answer {
            return (static_cast<std::uint32_t>(frame_->type) == m.type) != m.inverted;
          },
          // No packet here went through a transform, nor will.
          [](const r::XtPolicy& m) -> Answer { return m.none; },
          [&](const OneOf<r::XtRealm, r::XtCpu, r::XtSet> auto&) -> Answer { return chosen(); },
          [&](const r::XtEui64&) -> Answer { return chosen(); },
          [&](const r::XtConnlimit&) -> Answer { return chosen(); },  // run_xt_connlimit()
      },
      ready.meaning);
}

// --- what remembers ----------------------------------------------------------------------------

bool Interpreter::is_within_xt_limit(const r::Limit& limit, CellIndex cell, std::uint64_t error_ns,
                                     std::string_view what) {
  Clock clock = clock_;
  clock.error_ns += error_ns;
  std::optional<bool> within = state_.is_within_limit(limit, cell, frame_->length(), clock);
  if (!within) within = choose_whether(fmt::format("{} still has tokens at this packet", what));
  state_.spend_limit(limit, cell, frame_->length(), clock, *within);
  return *within;
}

// xt_limit.c counts in ticks: credits come a tick late, or a tick's worth at once.
bool Interpreter::xt_asks(const r::XtLimit& match, CellIndex cell) {
  const r::Limit limit{.unit = r::LimitUnit::Packets,
                       .rate = r::XtLimit::kScale,
                       .per_seconds = match.period,
                       .burst = match.burst};
  return is_within_xt_limit(limit, cell, clock_.now_ns == 0 ? 0 : doubt_about_end_ns(0),
                            "the limit");
}

// xt_hashlimit.c: one for each key. An entry that nobody has met for a while is given up, and its
// tokens are whole again; when that is, depends on its collector.
bool Interpreter::xt_asks(const r::XtHashlimit& match, CellIndex cell) {
  enum : std::uint32_t { kDestination = 1, kDestinationPort = 2, kSource = 4, kSourcePort = 8 };
  if (match.counts_bytes || clock_.now_ns != 0) {
    return choose_whether(fmt::format("the hashlimit {} still has tokens", match.name)) !=
           match.above;
  }
  const auto& bytes = frame_->bytes;
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  std::string key;
  const auto add = [&](std::size_t at, std::size_t count) {
    key.append(reinterpret_cast<const char*>(bytes.data() + at), count);
  };
  if ((match.by & kSource) != 0) add(frame_->ipv6 ? ipv6::kSource : ipv4::kSource, size);
  if ((match.by & kDestination) != 0) {
    add(frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination, size);
  }
  const Dissection& dissection = frame_->dissection;
  if ((match.by & (kSourcePort | kDestinationPort)) != 0 && dissection.fragment_offset == 0 &&
      readable(bytes, dissection.transport, 4)) {
    if ((match.by & kSourcePort) != 0) add(dissection.transport, 2);
    if ((match.by & kDestinationPort) != 0) add(dissection.transport + 2, 2);
  }
  constexpr std::uint64_t kScale = 1'000'000;
  const r::Limit limit{.unit = r::LimitUnit::Packets,
                       .rate = kScale,
                       .per_seconds = match.period,
                       .burst = static_cast<std::uint32_t>(match.burst)};
  return is_within_xt_limit(limit, state_.cell_of(cell, key), 0, "the hashlimit " + match.name) !=
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

// recent_mt(): to set and, of what is there, to take away is certain; else the list decides, where
// it was read from the machine and has the address, or may have got it since.
bool Interpreter::xt_asks(const r::XtRecent& match) {
  using Does = r::XtRecent::Does;
  if (match.does == Does::Sets) return !match.inverted;
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const std::size_t at = match.by_destination ? (frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination)
                                              : (frame_->ipv6 ? ipv6::kSource : ipv4::kSource);
  const net::Address address = net::address_from_bytes(frame_->bytes.subspan(at, size));
  return choose_whether(fmt::format("{} is in the recent list {} as -m recent asks",
                                    net::format(address), match.name)) != match.inverted;
}

}  // namespace rolewall::eval
