// Matches of iptables that ask about the packet's mark and its connection: net/netfilter/xt_mark.c,
// xt_connmark.c, xt_state.c, xt_conntrack.c, xt_connbytes.c, xt_connlabel.c, xt_connlimit.c,
// xt_helper.c.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "eval/interpreter.h"
#include "eval/nat.h"
#include "eval/ticks.h"
#include "net/address.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

// The bits of XT_STATE_BIT() are those of nf_tables'.
std::uint32_t state_bit(const Flow& flow) {
  switch (flow.tracking) {
    case Tracking::Entry:
      return flow.state;
    case Tracking::Untracked:
      return r::ct_state::kUntracked;
    case Tracking::None:
      break;
  }
  return flow.has_template ? r::ct_state::kNew : r::ct_state::kInvalid;
}

// A template has neither addresses nor mark, but counts as a connection.
bool has_connection(const Flow& flow) {
  return flow.tracking == Tracking::Entry || (flow.tracking == Tracking::None && flow.has_template);
}

bool is_in(const std::array<std::uint8_t, 16>& address, const r::XtConntrack::Network& network,
           std::size_t size) {
  bool same = true;
  for (std::size_t i = 0; i < size; ++i) {
    same &= ((address[i] ^ network.address[i]) & network.mask[i]) == 0;
  }
  return same != network.inverted;
}

}  // namespace

bool Interpreter::xt_asks(const r::XtState& match) const {
  return (match.states & state_bit(frame_->flow)) != 0;
}

std::optional<bool> Interpreter::xt_asks(const r::XtConntrack& match) {
  const Flow& flow = frame_->flow;
  if (match.states) {
    std::uint32_t bits = state_bit(flow);
    if (bits == r::ct_state::kUntracked) bits = r::XtConntrack::kUntracked;
    const bool asks_nat =
        (match.states->mask & (r::XtConntrack::kSourceNat | r::XtConntrack::kDestinationNat)) != 0;
    if (asks_nat && flow.seen_before) {
      if (choose_whether("the connection is translated as -m conntrack asks")) {
        bits |= match.states->mask;
      }
    } else if (flow.tracking == Tracking::Entry) {
      if ((flow.status & flow_status::kSourceNat) != 0) bits |= r::XtConntrack::kSourceNat;
      if ((flow.status & flow_status::kDestinationNat) != 0) {
        bits |= r::XtConntrack::kDestinationNat;
      }
    }
    if (((match.states->mask & bits) != 0) == match.states->inverted) return false;
  }
  if (!has_connection(flow)) return match.states.has_value();
  const bool asks_flow = match.source || match.destination || match.reply_source ||
                         match.reply_destination || match.source_port || match.destination_port ||
                         match.reply_source_port || match.reply_destination_port || match.status ||
                         match.expires;
  if (match.original) {
    const bool original = flow.seen_before ? chosen_direction() == 0 : !flow.is_reply;
    if (original != *match.original) return false;
  }
  if (flow.seen_before && asks_flow) {
    return choose_whether("the connection is as -m conntrack asks");
  }
  if (flow.has_template && flow.tracking == Tracking::None && match.status) {
    reason_ = "the status of a conntrack template";
    return std::nullopt;
  }
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const auto fits = [&](const auto& network, const auto& address) {
    return !network || is_in(address, *network, size);
  };
  const auto has_port = [](const auto& range, const std::array<std::uint8_t, 2>& port) {
    return !range || range->holds(be16(port.data()));
  };
  if (!fits(match.source, flow.tuple.source) || !fits(match.destination, flow.tuple.destination) ||
      !fits(match.reply_source, flow.reply.source) ||
      !fits(match.reply_destination, flow.reply.destination)) {
    return false;
  }
  if (match.protocol && !match.protocol->holds(flow.tuple.protocol)) return false;
  if (!has_port(match.source_port, flow.tuple.source_port) ||
      !has_port(match.destination_port, flow.tuple.destination_port) ||
      !has_port(match.reply_source_port, flow.reply.source_port) ||
      !has_port(match.reply_destination_port, flow.reply.destination_port)) {
    return false;
  }
  if (match.status && ((match.status->mask & flow.status) != 0) == match.status->inverted) {
    return false;
  }
  return !match.expires || choose_whether(
                               "the connection ends within the time that -m conntrack "
                               "asks for");
}

bool Interpreter::xt_asks(const r::XtMark& match) {
  if (!match.of_connection) {
    note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
    return ((frame_->mark & match.mask) == match.value) != match.inverted;
  }
  const Flow& flow = frame_->flow;
  if (!has_connection(flow)) return false;
  if (flow.seen_before) {
    return choose_whether(fmt::format("the connection's mark & {:#x} is {:#x}", match.mask,
                                      match.value)) != match.inverted;
  }
  const std::uint32_t mark = flow.tracking == Tracking::Entry ? flow.mark : 0;
  return ((mark & match.mask) == match.value) != match.inverted;
}

bool Interpreter::xt_asks(const r::XtConnbytes& match) {
  using What = r::XtConnbytes::What;
  using Direction = r::XtConnbytes::Direction;
  const Flow& flow = frame_->flow;
  if (flow.tracking != Tracking::Entry) return false;
  if (flow.seen_before) return choose_whether("the connection has as much as -m connbytes asks");
  const auto of = [&](const std::array<std::uint64_t, 2>& counts) {
    switch (match.direction) {
      case Direction::Original:
        return counts[0];
      case Direction::Reply:
        return counts[1];
      case Direction::Both:
        break;
    }
    return counts[0] + counts[1];
  };
  std::uint64_t number = 0;
  frame_->reads.length |= match.what != What::Packets;
  switch (match.what) {
    case What::Packets:
      number = of(flow.packets);
      break;
    case What::Bytes:
      number = of(flow.bytes);
      break;
    case What::Average:
      if (of(flow.packets) != 0) number = of(flow.bytes) / of(flow.packets);
      break;
  }
  return match.to >= match.from ? number <= match.to && number >= match.from
                                : number < match.to || number > match.from;
}

bool Interpreter::xt_asks(const r::XtConnlabel& match) {
  Flow& flow = frame_->flow;
  if (flow.tracking != Tracking::Entry) return match.inverted;
  if (flow.seen_before) {
    return choose_whether(fmt::format("the connection has the label {}", match.bit)) !=
           match.inverted;
  }
  std::uint8_t& byte = flow.labels[match.bit / 8U];
  const auto bit = static_cast<std::uint8_t>(1U << match.bit % 8U);
  const bool there = (byte & bit) != 0;
  if (!there && match.sets) byte |= bit;
  return (there || match.sets) != match.inverted;
}

// nf_conncount_count_skb(): a list for each address, which is counted as `ct count` counts. What
// begins a list is in it, though a connection that both ends have used is not added to one that is
// there. connlimit_mt() drops a packet that it counts none for: one that resets the only
// connection. Where another such packet finds that all have ended, kernels differ in what it meets.
Interpreter::Next Interpreter::run_xt_connlimit(const r::XtConnlimit& match, CellIndex cell) {
  const Flow& flow = frame_->flow;
  const std::size_t size = frame_->ipv6 ? 16 : 4;
  const std::size_t at = match.by_destination
                             ? (frame_->ipv6 ? ipv6::kDestination : ipv4::kDestination)
                             : (frame_->ipv6 ? ipv6::kSource : ipv4::kSource);
  std::string key;
  for (std::size_t i = 0; i < size; ++i) {
    key += static_cast<char>(frame_->bytes[at + i] & match.mask[i]);
  }
  key += static_cast<char>(flow.zone >> 8);
  key += static_cast<char>(flow.zone);
  const CellIndex list = state_.cell_of(cell, key);
  ConnectionCount& count = state_.connections(list);
  const bool assured = flow.tracking == Tracking::Entry && flow.entry != nullptr &&
                       (flow.entry->status & flow_status::kAssured) != 0;
  const bool begins = count.open.empty() && !count.looked_ns;
  if (!flow.seen_before && assured && begins) {
    count.open.push_back({flow.tuple, flow.zone, clock_.now_ns});
    count.looked_ns = clock_.now_ns;
    return (match.limit < 1) != match.up_to ? Next::Expression : Next::Break;
  }
  const bool is_listed = std::ranges::any_of(
      count.open, [&](const CountedFlow& each) { return each.is_of({flow.tuple, flow.zone, 0}); });
  if (!flow.seen_before && (!assured || is_listed)) {
    const Next next = run_connlimit({.count = match.limit, .over = !match.up_to}, list);
    return state_.connections(list).open.empty() ? xt_drops() : next;
  }
  static const std::array<std::string, 3> kAnswers{"no", "yes",
                                                   "it cannot be counted, and is dropped"};
  const std::size_t answer =
      choose(fmt::format("more than {} connections are open", match.limit), kAnswers);
  if (answer == 2) return xt_drops();
  return (answer == 1) != match.up_to ? Next::Expression : Next::Break;
}

bool Interpreter::xt_asks(const r::XtHelper& match) {
  const Flow& flow = frame_->flow;
  if (flow.tracking != Tracking::Entry) return match.inverted;
  if (flow.seen_before) {
    return choose_whether("the connection was expected by the helper that -m helper asks for") !=
           match.inverted;
  }
  if (flow.masters_helper == 0 || flow.others == nullptr) return match.inverted;
  const std::string_view name = flow.others->name(flow.masters_helper);
  return (match.name.empty() || match.name.starts_with(name)) != match.inverted;
}

}  // namespace rolewall::eval
