#include "eval/tracker.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/time.h"
#include "eval/fragments.h"
#include "eval/nat.h"
#include "eval/route.h"
#include "eval/ticks.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace ct_state = ruleset::ct_state;

void take_entry(Flow& flow, const FlowEntry& entry) {
  flow.tracking = Tracking::Entry;
  flow.tuple = entry.original;
  flow.reply = entry.reply;
  flow.status = entry.status;
  flow.mark = entry.mark;
  flow.labels = entry.labels;
  flow.packets = entry.packets;
  flow.bytes = entry.bytes;
  flow.masters_helper = entry.masters_helper;
}

}  // namespace

// nf_conntrack_inet_error(): an error is related to the flow of the packet that it quotes, if it
// goes to where that packet came from. True: it is an error about a known flow.
bool Tracker::find_related(Frame& frame, const Options& options) {
  const auto inner = packet_in_error(frame.bytes, frame.ipv6);
  Tuple quoted;
  if (!inner || !tuple_of(*inner, frame.ipv6, quoted)) return false;
  settle_end(frame, invert(quoted), options);
  const Flows::Found found = flows_.find(invert(quoted), frame.flow.zone);
  if (found.entry == nullptr) return false;
  const Tuple& towards = found.is_reply ? found.entry->reply : found.entry->original;
  const std::vector<std::uint8_t> to = net::to_bytes(destination_of(frame.bytes, frame.ipv6));
  if (!std::equal(to.begin(), to.end(), towards.destination.begin())) return false;
  take_entry(frame.flow, *found.entry);
  frame.flow.entry = found.entry;
  frame.flow.is_reply = found.is_reply;
  frame.flow.state = ct_state::kRelated;
  frame.flow.is_error = true;
  return true;
}

// nf_ct_attach(): what the host answers itself bears the entry of the packet that caused it, which
// may never have come to be, and is related (icmp_glue_bits() of net/ipv4/icmp.c, icmpv6_getfrag(),
// nf_send_reset()). Conntrack does not look at it again.
bool Tracker::find_cause(Frame& frame) {
  Tuple caused;
  const auto inner = packet_in_error(frame.bytes, frame.ipv6);
  if (inner) {
    if (!tuple_of(*inner, frame.ipv6, caused)) return false;
  } else {
    const Dissection headers = frame.ipv6 ? dissect_ipv6(frame.bytes) : dissect_ipv4(frame.bytes);
    const ByteSpan tcp =
        frame.bytes.subspan(std::min<std::size_t>(headers.transport, frame.bytes.size()));
    if (headers.protocol != net::protocol::kTcp || !readable(tcp, 0, 20) || !is_reset(tcp) ||
        !tuple_of(frame.bytes, frame.ipv6, caused)) {
      return false;
    }
    caused = invert(caused);
  }
  const Cause* cause = flows_.cause_of(caused);
  if (cause == nullptr || cause->by_reset == inner.has_value()) return false;
  Flow& flow = frame.flow;
  flow.zone = cause->entry.zone;
  take_entry(flow, cause->entry);
  flow.entry = flows_.find(cause->entry.original, flow.zone).entry;
  flow.is_reply = !cause->is_reply;
  flow.state = ct_state::kRelated;
  flow.is_error = inner.has_value();
  flow.is_answer = true;
  return true;
}

// A flow ends at a tick of the kernel's clock, which is a little after its time.
void Tracker::settle_end(Frame& frame, const Tuple& tuple, const Options& options) {
  FlowEntry* entry =
      flows_.at_its_end(tuple, frame.flow.zone, doubt_about_end_ns(options.clock_error_ns));
  const bool was_killed = entry != nullptr && (entry->status & flow_status::kDying) != 0;
  if (entry == nullptr || was_killed) return;
  const bool over = frame.choices->choose(2) == 1;
  const FlowTimeouts* own = flows_.own_timeouts(*entry);
  const bool known = own == nullptr || own->unknown.empty();
  frame.conditions.push_back(
      {.about = known ? "the connection's timeout, which ends with this packet"
                      : fmt::format("the connection's timeout, by the policy {} that is not known",
                                    own->unknown),
       .is = over ? "over" : "not over"});
  if (over) {
    flows_.remove(*entry);
  } else {
    entry->expires_ns = std::max(entry->expires_ns, options.now_ns + 1);
  }
}

// __nf_conntrack_alloc(): early_drop() looks for a flow that can go in a few places of the table.
// Of a large table, which no second state is made of for each packet, only the likely way is gone.
bool Tracker::has_room(Frame& frame) {
  constexpr std::uint32_t kUsualMost = 262144;  // of a 64-bit machine with 4 GiB or more
  constexpr std::uint32_t kLarge = 4096;
  const std::uint32_t most = host_.conntrack.max == 0 ? kUsualMost : host_.conntrack.max;
  if (flows_.size() < most) return true;
  flows_.collect();
  if (flows_.size() < most) return true;
  if (most > kLarge) {
    flows_.remove_oldest();
    flows_.doubt_all();
    frame.conditions.push_back({.about = fmt::format("the full conntrack table of {}", most),
                                .is = "an older connection makes room",
                                .assumed = true});
    return true;
  }
  const bool dropped = frame.choices->choose(2) == 1;
  frame.conditions.push_back(
      {.about = "the full conntrack table",
       .is = dropped ? "the packet is dropped" : "an older connection makes room"});
  return !dropped;
}

// nf_ct_find_expectation(): what a helper has read in its flow's content is not modelled.
void Tracker::ask_expectations(Frame& frame) {
  const std::vector<const FlowEntry*> expecting = flows_.expecting();
  if (expecting.empty()) return;
  const std::size_t by = frame.choices->choose(expecting.size() + 1);
  frame.conditions.push_back({.about = "the helper of an earlier connection expects this one",
                              .is = by != 0 ? "yes" : "no"});
  if (by == 0) return;
  const FlowEntry& master = *expecting[by - 1];
  frame.flow.state = ct_state::kRelated;
  frame.flow.status |= flow_status::kExpected;
  frame.flow.mark = master.mark;
  frame.flow.masters_helper = master.helper;
}

// resolve_normal_ct() and nf_conntrack_handle_packet(), for a flow that earlier packets have made.
// False: there is none.
bool Tracker::find_flow(Frame& frame, Checksums checksums, const Options& options) {
  Flow& flow = frame.flow;
  const char* error = header_error(frame.bytes, frame.ipv6, checksums);
  if (error == nullptr && find_related(frame, options)) return true;
  Tuple tuple;
  if (!tuple_of(frame.bytes, frame.ipv6, tuple)) return false;
  settle_end(frame, tuple, options);
  Flows::Found found = flows_.find(tuple, flow.zone);
  // Over the loopback it comes as it left: with all that is translated.
  if (const bool over_loopback = frame.in_device == kLoopbackDevice; over_loopback) {
    if (const auto left = flows_.find_translated(tuple, flow.zone); left.entry != nullptr) {
      found = left;
    }
  }
  if (found.entry == nullptr) return false;
  FlowEntry& entry = *found.entry;
  flows_.touch(entry.original, flow.zone);
  flows_.touch(entry.reply, flow.zone);
  if (error != nullptr) {
    flow.tracking = Tracking::None;
    flow.why = error;
    return true;
  }
  // Over the loopback the packet still bears what its way out has found.
  if (frame.in_device != kLoopbackDevice) {
    using What = TcpAnswer::What;
    switch (follow_flow(entry, frame.bytes, found.is_reply, options.now_ns, settings_of(entry))) {
      case What::Accept:
      case What::Ignore:
        break;
      case What::Invalid:
        flow.tracking = Tracking::None;
        flow.why = "TCP does not allow it in this state";
        return true;
      case What::Reopen:
        flows_.remove(entry);
        return false;
      case What::Kill:
        entry.expires_ns = options.now_ns;  // this packet is still of it
        entry.status |= flow_status::kDying;
        break;
    }
  }
  const bool both_ways = (entry.status & flow_status::kSeenReply) != 0;
  if (found.is_reply) entry.status |= flow_status::kSeenReply;
  take_entry(flow, entry);
  flow.entry = &entry;
  flow.is_reply = found.is_reply;
  const bool expected = (entry.status & flow_status::kExpected) != 0;
  flow.state = found.is_reply || both_ways ? ct_state::kEstablished
               : expected                  ? ct_state::kRelated
                                           : ct_state::kNew;
  if (tuple.protocol == net::protocol::kSctp) {
    frame.conditions.push_back(
        {.about = "the chunks of a known SCTP association", .is = "in order", .assumed = true});
  }
  return true;
}

std::optional<Packet::Carried> Tracker::carried_of(const Frame& frame) {
  if (frame.leaves_by != kLoopbackDevice) return std::nullopt;
  switch (frame.flow.tracking) {
    case Tracking::Untracked:
      return Packet::Carried{.untracked = true};
    case Tracking::Entry:
      return Packet::Carried{.state = frame.flow.state};
    case Tracking::None:
      break;
  }
  return std::nullopt;
}

void Tracker::begin(Frame& frame, const Options& options) {
  if (!options.keep_state) return;
  flows_.begin_packet();
  flows_.move_clock(options.now_ns);
  frame.flow.others = &flows_;
  // Whether or not it is tracked here: it may have been, as another packet.
  if (Tuple tuple; options.doubtful && tuple_of(frame.bytes, frame.ipv6, tuple)) {
    flows_.touch(tuple, 0);
    flows_.touch(invert(tuple), 0);
  }
}

void Tracker::come_back(Frame& frame, const Options& options, bool has_nat) {
  Flow& flow = frame.flow;
  flow.has_come_back = flow.tracking == Tracking::Entry;
  if (!flow.has_come_back) return;
  flow.status |= flow_status::kConfirmed;
  if (has_nat) flow.status |= flow_status::kSourceNatDone | flow_status::kDestinationNatDone;
  if (options.keep_state) flow.entry = flows_.find(flow.tuple, flow.zone).entry;
}

const char* Tracker::track(Frame& frame, const Options& options, bool has_nat) {
  Flow& flow = frame.flow;
  flow.has_template = false;
  // nf_conntrack_in() does not look again at what it has seen.
  if (flow.tracking == Tracking::Untracked || flow.has_come_back) return nullptr;
  // What a program sends is no answer of the kernel's.
  const bool of_a_program = frame.packet->user || frame.packet->group;
  if (options.keep_state && frame.hook == ruleset::Hook::Output && !of_a_program &&
      find_cause(frame)) {
    return nullptr;
  }
  if (frame.in_device == kLoopbackDevice) {
    flow.status = flow_status::kConfirmed;
    if (has_nat) flow.status |= flow_status::kSourceNatDone | flow_status::kDestinationNatDone;
  }
  if (const auto& given = frame.packet->ct_state) {
    flow.state = *given;
    flow.seen_before = (*given & ct_state::kNew) == 0;
    if ((*given & ct_state::kUntracked) != 0) {
      flow.tracking = Tracking::Untracked;
    } else if ((*given & ct_state::kInvalid) != 0) {
      flow.tracking = Tracking::None;
    } else {
      flow.tracking = Tracking::Entry;
      tuple_of(frame.bytes, frame.ipv6, flow.tuple);
      flow.reply = invert(flow.tuple);
    }
    return nullptr;
  }
  const bool verify = frame.hook == ruleset::Hook::Prerouting && host_.conntrack.checksum &&
                      !options.trust_checksums;
  const bool whole = frame.known() == frame.bytes.size();
  if (verify && !whole) {
    frame.conditions.push_back({.about = "the checksum of the bytes that the capture cut off",
                                .is = "right",
                                .assumed = true});
  }
  const Checksums checksums = verify && whole ? Checksums::Verify : Checksums::Trust;
  if (options.keep_state && find_flow(frame, checksums, options)) {
    const auto& carried = frame.packet->carried;
    const bool has_state = carried && frame.in_device == kLoopbackDevice;
    if (has_state && flow.tracking == Tracking::Entry) flow.state = carried->state;
    return nullptr;
  }
  const FirstPacket first = track_first_packet(frame.bytes, frame.ipv6, checksums);
  flow.tracking = first.tracking;
  flow.tuple = first.tuple;
  flow.reply = invert(first.tuple);
  flow.why = first.why;
  if (flow.tracking != Tracking::Entry) return nullptr;
  if (options.keep_state && !has_room(frame)) return "the conntrack table is full";
  begun_ = {};
  begun_.original = flow.tuple;
  if (follow_flow(begun_, frame.bytes, false, options.now_ns, settings_) ==
      TcpAnswer::What::Invalid) {
    flow.tracking = Tracking::None;
    flow.why = "nf_conntrack_tcp_loose is 0: a connection must begin with a SYN";
    return nullptr;
  }
  flow.packets = {1, 0};
  flow.bytes = {frame.bytes.size(), 0};
  if (options.keep_state) ask_expectations(frame);
  return nullptr;
}

// __nf_conntrack_confirm() and nf_ct_resolve_clash(), where the reply's tuple is taken.
const char* Tracker::refuses(const Frame& frame, const Options& options) {
  const Flow& flow = frame.flow;
  const bool begins = options.keep_state && flow.tracking == Tracking::Entry && !flow.seen_before &&
                      flow.entry == nullptr && !flow.is_answer && !flow.is_confirmed;
  if (!begins) return nullptr;
  const FlowEntry* other = flows_.find(flow.reply, flow.zone).entry;
  const bool is_same =
      other == nullptr || (other->original == flow.tuple && other->reply == flow.reply);
  return is_same ? nullptr : kNotConfirmed;
}

const TrackingSettings& Tracker::settings_of(const FlowEntry& entry) const {
  const FlowTimeouts* own = flows_.own_timeouts(entry);
  return own == nullptr ? settings_ : own->settings;
}

void Tracker::give_timeouts(FlowEntry& entry, const Flow& flow, std::uint64_t now_ns) {
  if (flow.timeouts == nullptr && flow.unknown_timeouts.empty()) return;
  const FlowTimeouts own = flow.timeouts != nullptr
                               ? timeouts_of(*flow.timeouts, settings_)
                               : timeouts_of_unknown(flow.unknown_timeouts, settings_);
  entry.timeouts = flows_.number_of(own);
  entry.expires_ns = now_ns + first_timeout(own, entry.original.protocol) * kNsPerSecond;
}

const char* Tracker::confirm(Frame& frame, const Options& options) {
  Flow& flow = frame.flow;
  if (flow.tracking != Tracking::Entry || flow.seen_before || flow.entry != nullptr) return nullptr;
  if (const char* why = refuses(frame, options)) return why;
  flow.is_confirmed = true;
  flow.status |= flow_status::kConfirmed;
  return nullptr;
}

void Tracker::keep(Frame& frame, const Options& options, bool accepted) {
  const Flow& flow = frame.flow;
  if (!options.keep_state || flow.tracking != Tracking::Entry || flow.seen_before) return;
  flows_.touch(flow.tuple, flow.zone);
  flows_.touch(flow.reply, flow.zone);
  if (flow.entry != nullptr) {
    flow.entry->mark = flow.mark;
    flow.entry->labels = flow.labels;
    flow.entry->status |= flow.status;
    if (!flow.helper.empty()) flow.entry->helper = flows_.number_of(flow.helper);
    if (flow.expects) flows_.note_expecting(*flow.entry);
    return;
  }
  if ((!accepted && !flow.is_confirmed) || flow.is_answer) return;
  // The flow's own bytes, as conntrack saw them, have begun it in track().
  FlowEntry entry = begun_;
  entry.original = flow.tuple;
  entry.reply = flow.reply;
  entry.zone = flow.zone;
  entry.status |= flow.status;
  entry.mark = flow.mark;
  entry.labels = flow.labels;
  entry.expects = flow.expects;
  entry.helper = flows_.number_of(flow.helper);
  entry.masters_helper = flow.masters_helper;
  give_timeouts(entry, flow, options.now_ns);
  entry.came_by = flows_.number_of(frame.in_device);
  entry.left_by = flows_.number_of(frame.leaves_by);
  if (!flows_.confirm(entry)) {
    frame.conditions.push_back({.about = "two connections with the same tuple",
                                .is = "the second goes on",
                                .assumed = true});
  }
}

bool Tracker::has_answered(const Packet& packet, std::uint64_t now_ns) {
  const bool ipv6 = packet.ether_type == kEtherTypeIpv6;
  flows_.move_clock(now_ns);
  Tuple tuple;
  const auto inner = packet_in_error(packet.bytes, ipv6);
  if (!tuple_of(inner ? *inner : ByteSpan(packet.bytes), ipv6, tuple)) return false;
  if (flows_.cause_of(inner ? tuple : invert(tuple)) != nullptr) return true;
  if (inner) tuple = invert(tuple);
  const Flows::Found found = flows_.find(tuple, 0);
  if (found.entry == nullptr) return false;
  return found.is_reply || inner.has_value() ||
         (found.entry->status & flow_status::kSeenReply) != 0;
}

std::optional<Origin> Tracker::origin_of(const Packet& packet, std::uint64_t now_ns) {
  const bool ipv6 = packet.ether_type == kEtherTypeIpv6;
  const bool fragment = ipv6 ? has_fragment_header(packet.bytes) : is_ipv4_fragment(packet.bytes);
  Tuple left;
  if (fragment || packet_in_error(packet.bytes, ipv6) || !tuple_of(packet.bytes, ipv6, left)) {
    return std::nullopt;
  }
  flows_.move_clock(now_ns);
  const Flows::Found found = flows_.find_translated(left, 0);
  if (found.entry == nullptr) return std::nullopt;
  const FlowEntry& entry = *found.entry;
  Origin origin{.packet = packet, .forwarded = entry.came_by != 0 && entry.left_by != 0};
  const Tuple& before = found.is_reply ? entry.reply : entry.original;
  if (before != left && !give_tuple(origin.packet.bytes, before)) return std::nullopt;
  if (origin.forwarded) {
    origin.packet.in_device = flows_.name(found.is_reply ? entry.left_by : entry.came_by);
  }
  return origin;
}

// nf_send_reset() answers no RST and nothing that is broken: its own look at the checksum does not
// ask the settings.
void Tracker::note_reset(const Frame& frame, const Options& options) {
  FlowEntry* entry = frame.flow.entry;
  if (entry == nullptr || entry->original.protocol != net::protocol::kTcp) return;
  const bool known = !options.trust_checksums && frame.known() == frame.bytes.size();
  const Checksums checksums = known ? Checksums::Verify : Checksums::Trust;
  if (header_error(frame.bytes, frame.ipv6, checksums) != nullptr) return;
  close_flow(*entry, frame.bytes, options.now_ns, settings_of(*entry));
}

void Tracker::note_cause(const Frame& frame, const Options& options, bool by_reset) {
  const Flow& flow = frame.flow;
  if (!options.keep_state || flow.tracking != Tracking::Entry || flow.seen_before) return;
  Cause cause;
  cause.is_reply = flow.is_reply;
  cause.by_reset = by_reset;
  cause.entry.original = flow.tuple;
  cause.entry.reply = flow.reply;
  cause.entry.zone = flow.zone;
  cause.entry.status = flow.status;
  cause.entry.mark = flow.mark;
  cause.entry.labels = flow.labels;
  cause.entry.packets = flow.packets;
  cause.entry.bytes = flow.bytes;
  flows_.note_cause(flow.is_reply ? flow.reply : flow.tuple, cause);
}

}  // namespace rolewall::eval
