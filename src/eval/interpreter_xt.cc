// Matches of iptables: nft_match_eval() of net/netfilter/nft_compat.c, and of each match what it
// says. What reads the packet alone is in xt_matches.h, what asks the connection or the host in
// interpreter_xt_flow.cc and interpreter_xt_host.cc, what keeps a list by its name in
// interpreter_xt_list.cc, what else remembers here.
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

// What was put together, and what may have come as several buffers (skb_seq_read()).
bool may_be_in_pieces(const Frame& frame) {
  constexpr std::size_t kOneFrame = 1500;
  return frame.fragment_size != 0 || frame.bytes.size() > kOneFrame;
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
    const bool chosen = choose_whether(fmt::format(
        "{} matches {}", in_words(match, family_of_packet(*frame_), frame_->host->ipset_numbers),
        packet.unsure));
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
    return choose_whether(in_words(match, family_of_packet(*frame_), frame_->host->ipset_numbers) +
                          " matches");
  };
  return visit_closed(
      Overloaded{
          [](const r::XtComment&) -> Answer { return true; },
          [&](const OneOf<r::XtTcp, r::XtUdp, r::XtMultiport, r::XtSctp, r::XtDccp, r::XtIcmp,
                          r::XtEsp, r::XtAh, r::XtIprange, r::XtTos, r::XtTtl, r::XtEcn,
                          r::XtTcpmss, r::XtU32, r::XtFrag, r::XtOptions, r::XtRouting,
                          r::XtMobility, r::XtIpv6header> auto& m) -> Answer {
            return xt_holds(m, packet);
          },
          [&](const OneOf<r::XtMark, r::XtState, r::XtConntrack, r::XtConnbytes, r::XtConnlabel,
                          r::XtHelper, r::XtAddrtype, r::XtRpfilter, r::XtMac, r::XtOwner,
                          r::XtCgroup, r::XtDevgroup, r::XtPhysdev, r::XtTime, r::XtSocket> auto& m)
              -> Answer { return xt_asks(m); },
          [&](const OneOf<r::XtLimit, r::XtQuota, r::XtStatistic> auto& m) -> Answer {
            return xt_asks(m, ready.cell);
          },
          [&](const r::XtRecent& m) -> Answer { return xt_asks(m, ready); },
          [&](const r::XtHashlimit& m) -> Answer { return xt_asks(m, ready, packet); },
          // bm_find() looks within each piece of the packet alone.
          [&](const r::XtString& m) -> Answer {
            const bool holds = xt_holds(m, packet);
            const bool found = holds != m.inverted;
            return found && m.algorithm == "bm" && may_be_in_pieces(*frame_) ? chosen() : holds;
          },
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

// xt_limit.c and xt_hashlimit.c count in ticks: credits come a tick late, or a tick's worth at
// once.
Clock Interpreter::ticking_clock() const {
  Clock clock = clock_;
  if (clock.now_ns != 0) clock.error_ns += doubt_about_end_ns(0);
  return clock;
}
std::optional<bool> Interpreter::is_within_ticking_limit(const r::Limit& limit, CellIndex cell) {
  return state_.is_within_limit(limit, cell, frame_->length(), ticking_clock());
}

bool Interpreter::xt_asks(const r::XtLimit& match, CellIndex cell) {
  assume_unspent("a limit");
  const r::Limit limit{.unit = r::LimitUnit::Packets,
                       .rate = r::XtLimit::kScale,
                       .per_seconds = match.period,
                       .burst = match.burst};
  std::optional<bool> within = is_within_ticking_limit(limit, cell);
  if (!within) within = choose_whether("the limit still has tokens at this packet");
  state_.spend_limit(limit, cell, frame_->length(), ticking_clock(), *within);
  return *within;
}

bool Interpreter::xt_asks(const r::XtQuota& match, CellIndex cell) {
  assume_unspent("a quota");
  frame_->reads.length |= match.bytes < kLargestPacket;
  return state_.take_of_quota(cell, match.bytes, frame_->length()) != match.inverted;
}

bool Interpreter::xt_asks(const r::XtStatistic& match, CellIndex cell) {
  if (match.nth && match.every != 0xffffffff) {
    assume_unspent("a count of packets");
    return (state_.next_number(cell, match.every + 1, match.count) == 0) != match.inverted;
  }
  return choose_whether("the packet is among those that -m statistic draws") != match.inverted;
}

}  // namespace rolewall::eval
