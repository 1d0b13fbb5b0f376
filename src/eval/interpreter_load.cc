// The interpreter's loads from the packet and from what travels beside it: net/netfilter/
// nft_payload.c, nft_meta.c, nft_ct.c. A load that fails breaks the rule; it never reads as zero.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/time.h"
#include "eval/interpreter.h"
#include "eval/render.h"
#include "eval/ticks.h"
#include "net/protocol.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"

namespace rolewall::eval {
namespace {

using ruleset::CtKey;
using ruleset::Hook;
using ruleset::MetaKey;
using ruleset::PayloadBase;

constexpr std::uint16_t kArpHrdEther = 1;
constexpr std::uint16_t kArpHrdLoopback = 772;
constexpr std::uint64_t kSecondsADay = 86400;

// nft_meta_weekday(): Sunday is 0, by UTC (a kernel that was told of another zone is rare).
std::uint8_t weekday(std::uint64_t seconds) {
  constexpr std::uint64_t kThursday = 4;  // the first of January 1970
  return static_cast<std::uint8_t>((kThursday + seconds / kSecondsADay) % 7);
}

constexpr const char* kCutOff = "bytes that the capture has cut off";

// nft_payload_select_ops(): these loads have a path of their own, which does not ask whether the
// packet is a later fragment.
bool has_fast_path(const ruleset::Payload& load) {
  const bool size = load.length == 1 || load.length == 2 || load.length == 4;
  const bool base = load.base == PayloadBase::Network || load.base == PayloadBase::Transport;
  return size && base && load.offset % load.length == 0;
}

// What a running machine said of the device; null where it was not asked, or knows none such.
const ruleset::Interface* interface_of(const Frame& frame, std::string_view device) {
  for (const ruleset::Interface& interface : frame.host->interfaces) {
    if (interface.device == device && interface.index != 0) return &interface;
  }
  return nullptr;
}

template <class Number>
std::array<std::uint8_t, sizeof(Number)> host_order(Number number) {
  std::array<std::uint8_t, sizeof(Number)> bytes{};
  std::memcpy(bytes.data(), &number, sizeof(Number));
  return bytes;
}

// Before routing there is no device to leave by, and after it none that it came in by.
bool is_outgoing(Hook hook) {
  return hook == Hook::Output || hook == Hook::Postrouting || hook == Hook::Egress;
}

// How much of the packet that path reaches: what is in one piece. What arrives and is longer than a
// page is not; of it only the IP header has been pulled together. (Shorter ones may be in pieces
// too, as the driver likes. It counts for later fragments alone: others fall back to the slow path,
// which reads the same.)
std::size_t in_one_piece(const Frame& frame) {
  constexpr std::size_t kLongestPiece = 4065;  // a page less an Ethernet header and its headroom
  if (is_outgoing(frame.hook) || frame.bytes.size() <= kLongestPiece) return frame.bytes.size();
  return frame.ipv6 ? ipv6::kHeaderSize : ipv4::header_size(frame.bytes);
}

}  // namespace

void Interpreter::store_name(ruleset::Register first, std::string_view name) {
  std::array<std::uint8_t, ruleset::kInterfaceNameSize> padded{};
  std::copy_n(name.begin(), std::min(name.size(), padded.size() - 1), padded.begin());
  store(first, padded);
}

Interpreter::Next Interpreter::store_index(ruleset::Register first, std::string_view device) {
  // In every namespace, so that no other device has it (net/core/dev.c, LOOPBACK_IFINDEX).
  constexpr std::uint32_t kLoopbackIndex = 1;
  std::uint32_t index = device == kLoopbackDevice ? kLoopbackIndex : 0;
  if (const ruleset::Interface* interface = interface_of(*frame_, device)) index = interface->index;
  if (index == 0 && !device.empty()) {
    const Next next = store_unknown(first, sizeof(index), fmt::format("the index of {}", device),
                                    Format::HostNumber);
    if (next == Next::Expression) unknowns_.back().never = kLoopbackIndex;
    return next;
  }
  store_word(first, index);
  return Next::Expression;
}

// Bytes of the packet, from the network header on. REQUIRES: they are there.
Interpreter::Next Interpreter::store_loaded(ruleset::Register to, std::size_t start,
                                            std::size_t size) {
  if (frame_->notes_reads) frame_->reads.bytes.push_back({start, start + size});
  if (const Frame::Unsure* unsure = frame_->unsure_among(start, size)) {
    return store_unknown(to, size, unsure->name, Format::Number);
  }
  store(to, frame_->bytes.subspan(start, size));
  return Next::Expression;
}

Interpreter::Next Interpreter::run_payload(const ruleset::Payload& load) {
  const Dissection& dissection = frame_->dissection;
  const ByteSpan bytes = frame_->bytes;
  if (frame_->rewritten_options && load.base == PayloadBase::Network &&
      load.offset < ipv4::header_size(bytes) && load.offset + load.length > ipv4::kHeaderSize) {
    return undecided("IP options that the host has changed");
  }
  // The fast path does not know that a later fragment has no transport header: in IPv6 it looks for
  // one at the buffer's beginning, and on the way out that is the Ethernet header's.
  if (has_fast_path(load) && load.base == PayloadBase::Transport && frame_->ipv6 &&
      dissection.fragment_offset != 0 && frame_->link_header_size != 0) {
    return undecided("a later fragment's Ethernet header, read as its transport header");
  }
  if (has_fast_path(load) && (load.base == PayloadBase::Network || dissection.has_protocol)) {
    const std::size_t start =
        (load.base == PayloadBase::Network ? 0 : dissection.transport) + load.offset;
    if (readable(bytes.first(in_one_piece(*frame_)), start, load.length)) {
      if (start + load.length > frame_->known()) return undecided(kCutOff);
      return store_loaded(load.destination, start, load.length);
    }
  }
  std::size_t start = load.offset;
  switch (load.base) {
    case PayloadBase::Link: {
      // The Ethernet header and, behind it, the packet.
      const std::vector<std::uint8_t>& link = frame_->packet->link;
      const bool leaves_device = frame_->hook == ruleset::Hook::Egress;
      if (is_outgoing(frame_->hook) && frame_->in_device.empty() && !leaves_device) {
        return Next::Break;
      }
      // A packet that is passed on has got another one by then.
      const bool is_anothers = leaves_device && !frame_->packet->in_device.empty();
      if (link.empty() || is_anothers) {
        return undecided("the packet's Ethernet header is not given");
      }
      std::array<std::uint8_t, 256> value{};
      for (std::size_t i = 0; i < load.length; ++i) {
        const std::size_t from = start + i;
        if (from < link.size()) {
          value[i] = link[from];
        } else if (from - link.size() < frame_->known()) {
          value[i] = bytes[from - link.size()];
        } else if (from - link.size() < bytes.size()) {
          return undecided(kCutOff);
        } else {
          return Next::Break;
        }
      }
      store(load.destination, ByteSpan(value).first(load.length));
      return Next::Expression;
    }
    case PayloadBase::Network:
      break;
    case PayloadBase::Transport:
      if (!dissection.has_protocol || dissection.fragment_offset != 0) return Next::Break;
      start += dissection.transport;
      break;
    case PayloadBase::Inner: {
      std::optional<std::uint32_t>& inner = frame_->inner;
      if (!inner) inner = inner_offset(bytes, dissection);
      if (!inner) return Next::Break;
      start += *inner;
      break;
    }
  }
  if (!readable(bytes, start, load.length)) return Next::Break;
  if (start + load.length > frame_->known()) return undecided(kCutOff);
  return store_loaded(load.destination, start, load.length);
}

// ip_rcv_finish_core() and ip6_rcv_finish_core(), between prerouting and input: TCP and UDP look
// for the socket that is connected to the sender. Only a SYN that begins a connection finds none.
// What comes over the loopback has its route already, and looks for none.
bool Interpreter::has_early_socket() {
  const Flow& flow = frame_->flow;
  const Dissection& headers = frame_->dissection;
  const bool is_tcp = headers.protocol == net::protocol::kTcp;
  const bool may_look =
      is_tcp ? frame_->type == PacketType::Host
             : headers.protocol == net::protocol::kUdp && frame_->type != PacketType::Broadcast;
  if (frame_->hook != Hook::Input || frame_->in_device == kLoopbackDevice) return false;
  if (!headers.has_protocol || !may_look) return false;
  constexpr std::uint8_t kBegins = 0x02;
  constexpr std::uint8_t kAsked = 0x17;  // FIN, SYN, RST and ACK
  const std::size_t flags = headers.transport + 13U;
  const bool begins =
      is_tcp && readable(frame_->bytes, flags, 1) && (frame_->bytes[flags] & kAsked) == kBegins;
  if (begins && !flow.seen_before && flow.entry == nullptr) return false;
  return choose_whether("a socket of this host is connected to its sender");
}

Interpreter::Next Interpreter::run_meta(const ruleset::Meta& load) {
  const ruleset::Register to = load.destination;
  const auto not_given = [&] {
    return store_unknown(load, meta_key_name(load.key), meta_field(load.key).format);
  };
  switch (load.key) {
    case MetaKey::Length:
      frame_->reads.length = true;
      store_word(to, frame_->length());
      return Next::Expression;
    case MetaKey::Protocol: {
      std::array<std::uint8_t, 2> type{};
      put_be16(type.data(), frame_->packet->ether_type);
      store(to, type);
      return Next::Expression;
    }
    case MetaKey::Priority:
      note_given(frame_->priority_is_set, frame_->reads.priority, "a packet priority");
      if (std::exchange(frame_->priority_is_by_tos, false)) {  // told once
        frame_->conditions.push_back({.about = "the setting net.ipv4.ip_forward_update_priority",
                                      .is = "1, as a kernel begins with",
                                      .assumed = true});
      }
      store_word(to, frame_->priority);
      return Next::Expression;
    case MetaKey::Mark:
      note_given(frame_->mark_is_set, frame_->reads.mark, "a packet mark");
      store_word(to, frame_->mark);
      return Next::Expression;
    case MetaKey::NfProto:
      store_byte(to, static_cast<std::uint8_t>(frame_->seen_as));
      return Next::Expression;
    case MetaKey::L4Proto:
      if (!frame_->dissection.has_protocol) return Next::Break;
      store_byte(to, frame_->dissection.protocol);
      return Next::Expression;
    case MetaKey::Iif:
      return store_index(to, frame_->in_device);
    case MetaKey::Oif:
      return store_index(to, frame_->out_device);
    case MetaKey::IifName:
      store_name(to, frame_->in_device);
      return Next::Expression;
    case MetaKey::OifName:
      store_name(to, frame_->out_device);
      return Next::Expression;
    case MetaKey::IifType:
    case MetaKey::OifType: {
      // On output the kernel's IIFTYPE asks the device of the packet's buffer (skb->dev in
      // nft_meta_get_eval()), which may be any, or none.
      if (load.key == MetaKey::IifType && is_outgoing(frame_->hook)) {
        return choose_whether("the packet's buffer has a device") ? not_given() : Next::Break;
      }
      const std::string_view device =
          load.key == MetaKey::IifType ? frame_->in_device : frame_->out_device;
      if (device.empty()) return Next::Break;
      const bool loopback = device == kLoopbackDevice;
      const ruleset::Interface* interface = interface_of(*frame_, device);
      if (!loopback && interface == nullptr && frame_->packet->link.size() != 14) {
        return not_given();
      }
      const std::uint16_t known = interface != nullptr ? interface->hardware_type : kArpHrdEther;
      store(to, host_order(loopback ? kArpHrdLoopback : known));
      return Next::Expression;
    }
    case MetaKey::SkUid:
    case MetaKey::SkGid: {
      const auto& user = frame_->packet->user;
      const auto& group = frame_->packet->group;
      if (frame_->has_socket) return not_given();
      if (!is_outgoing(frame_->hook)) return has_early_socket() ? not_given() : Next::Break;
      if (frame_->packet->sender_is_open) {
        return choose_whether("a program has sent it") ? not_given() : Next::Break;
      }
      if (!user && !group) {
        (load.key == MetaKey::SkUid ? frame_->reads.user : frame_->reads.group) = true;
        return Next::Break;
      }
      const auto& value = load.key == MetaKey::SkUid ? user : group;
      if (!value) return not_given();
      store_word(to, *value);
      return Next::Expression;
    }
    case MetaKey::PktType:
      store_byte(to, static_cast<std::uint8_t>(frame_->type));
      return Next::Expression;
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::IifKind:
    case MetaKey::OifKind: {
      const bool in = load.key == MetaKey::IifGroup || load.key == MetaKey::IifKind;
      const bool kind = load.key == MetaKey::IifKind || load.key == MetaKey::OifKind;
      const std::string_view device = in ? frame_->in_device : frame_->out_device;
      if (device.empty() || (kind && device == kLoopbackDevice)) return Next::Break;
      const ruleset::Interface* interface = interface_of(*frame_, device);
      if (interface == nullptr) return not_given();
      if (kind && interface->kind.empty()) return Next::Break;  // a physical device
      if (kind) {
        store_name(to, interface->kind);
      } else {
        store_word(to, interface->group);
      }
      return Next::Expression;
    }
    case MetaKey::RtClassId:
      // No route has been looked up yet.
      return frame_->hook == Hook::Prerouting && frame_->in_device != kLoopbackDevice ? Next::Break
                                                                                      : not_given();
    case MetaKey::Cgroup:
      if (frame_->has_socket) return not_given();
      if (!is_outgoing(frame_->hook)) return has_early_socket() ? not_given() : Next::Break;
      if (frame_->packet->sender_is_open) {
        return choose_whether("a program has sent it") ? not_given() : Next::Break;
      }
      if (frame_->packet->user || frame_->packet->group) return not_given();
      frame_->reads.cgroup = true;
      return Next::Break;
    case MetaKey::SecPath:  // not one that IPsec unwrapped
      store_byte(to, 0);
      return Next::Expression;
    case MetaKey::SdIif:  // no VRF
      store_word(to, 0);
      return Next::Expression;
    case MetaKey::SdIfName:
      store_name(to, "");
      return Next::Expression;
    case MetaKey::TimeNs:
    case MetaKey::TimeDay:
    case MetaKey::TimeHour: {
      if (!frame_->packet->time_ns) return not_given();
      frame_->reads.time = true;
      const std::uint64_t seconds = *frame_->packet->time_ns / kNsPerSecond;
      if (load.key == MetaKey::TimeNs) {
        store(to, host_order(*frame_->packet->time_ns));
      } else if (load.key == MetaKey::TimeDay) {
        store_byte(to, weekday(seconds));
      } else {
        store_word(to, static_cast<std::uint32_t>(seconds % kSecondsADay));
      }
      return Next::Expression;
    }
    case MetaKey::BriIifName:
    case MetaKey::BriOifName:
    case MetaKey::BriIifPvid:
    case MetaKey::BriIifVproto:
    case MetaKey::BriBroute:
      return undecided(fmt::format("{}: bridges are not modelled", meta_key_name(load.key)));
    case MetaKey::NfTrace:
    case MetaKey::SecMark:
    case MetaKey::Cpu:
    case MetaKey::Prandom:
      return not_given();
  }
  return not_given();
}

// A mark or priority that the packet begins with, as long as no rule has set it.
void Interpreter::note_given(bool is_set, bool& was_read, std::string_view what) {
  if (is_set || was_read) return;
  was_read = true;
  if (!frame_->packet->sender_is_open) return;
  frame_->conditions.push_back(
      {.about = fmt::format("{} that its program gives it", what), .is = "none", .assumed = true});
}

Interpreter::Next Interpreter::run_meta_set(const ruleset::MetaSet& set) {
  if (set.key == MetaKey::Mark) {
    frame_->mark = word(set.source);
    frame_->mark_is_set = true;
  } else if (set.key == MetaKey::Priority) {
    frame_->priority = word(set.source);
    frame_->priority_is_set = true;
    frame_->priority_is_by_tos = false;
  } else if (set.key == MetaKey::PktType) {
    // skb_pkt_type_ok(): up to PACKET_OTHERHOST.
    const std::uint8_t type = *at(set.source);
    if (type <= static_cast<std::uint8_t>(PacketType::OtherHost)) {
      frame_->type = static_cast<PacketType>(type);
    }
  } else if (set.key != MetaKey::NfTrace && set.key != MetaKey::SecMark) {
    return undecided(fmt::format("{} cannot be set", meta_key_name(set.key)));
  }
  return Next::Expression;  // nothing that is modelled reads the trace flag or the security mark
}

Interpreter::Next Interpreter::run_ct(const ruleset::Ct& load) {
  const Flow& flow = frame_->flow;
  if (load.key == CtKey::State) {
    switch (flow.tracking) {
      case Tracking::Entry:
        store_word(load.destination, flow.state);
        break;
      case Tracking::Untracked:
        store_word(load.destination, ruleset::ct_state::kUntracked);
        break;
      case Tracking::None:
        // A zone's template passes for a new flow.
        store_word(load.destination,
                   flow.has_template ? ruleset::ct_state::kNew : ruleset::ct_state::kInvalid);
        break;
    }
    return Next::Expression;
  }
  return flow.tracking == Tracking::Entry ? run_ct_entry(load) : Next::Break;
}

// Of a packet in the middle of a connection that nothing is known of: each time the same.
std::uint8_t Interpreter::chosen_direction() {
  static const std::array<std::string, 2> kDirections{"original", "reply"};
  static const std::string kAbout = "ct direction";
  const auto chosen = std::ranges::find(frame_->conditions, kAbout, &Condition::about);
  if (chosen != frame_->conditions.end()) return chosen->is == kDirections[1] ? 1 : 0;
  return static_cast<std::uint8_t>(choose(kAbout, kDirections));
}

Interpreter::Next Interpreter::run_ct_entry(const ruleset::Ct& load) {
  const Flow& flow = frame_->flow;
  const ruleset::Register to = load.destination;
  const auto not_known = [&] {
    return store_unknown(load, ct_key_name(load.key), ct_field(load.key, frame_->ipv6).format);
  };
  const bool reply = load.direction == ruleset::CtDirection::Reply;
  const Tuple& tuple = reply ? flow.reply : flow.tuple;
  const auto store_address = [&](const std::array<std::uint8_t, 16>& address, std::size_t size) {
    store(to, ByteSpan(address).first(size));
    return Next::Expression;
  };

  // What holds for every packet of the flow, whatever came before.
  const bool ipv4_alone = load.key == CtKey::SourceIp || load.key == CtKey::DestinationIp;
  const bool ipv6_alone = load.key == CtKey::SourceIp6 || load.key == CtKey::DestinationIp6;
  if (frame_->ipv6 ? ipv4_alone : ipv6_alone) return Next::Break;
  const bool of_any_packet = load.key == CtKey::L3Protocol || load.key == CtKey::Protocol;
  if (flow.seen_before && load.key == CtKey::Direction) {
    store_byte(to, chosen_direction());
    return Next::Expression;
  }
  if (flow.seen_before && !of_any_packet) {
    const bool may_be_none = load.key == CtKey::Helper;
    if (may_be_none && !choose_whether("the connection has a helper")) return Next::Break;
    return not_known();
  }

  switch (load.key) {
    case CtKey::L3Protocol:
      store_byte(
          to, static_cast<std::uint8_t>(frame_->ipv6 ? ruleset::Family::Ip6 : ruleset::Family::Ip));
      return Next::Expression;
    case CtKey::Protocol:
      store_byte(to, flow.tuple.protocol);
      return Next::Expression;
    case CtKey::Direction:
      store_byte(to, flow.is_reply ? 1 : 0);
      return Next::Expression;
    case CtKey::Status:
      store_word(to, flow.status);
      return Next::Expression;
    case CtKey::Mark:
      store_word(to, flow.mark);
      return Next::Expression;
    case CtKey::Helper:
      // Of the connection that has expected this one: its own is not read (nft_ct_get_eval()).
      if (flow.masters_helper == 0 || flow.others == nullptr) return Next::Break;
      store_name(to, flow.others->name(flow.masters_helper));
      return Next::Expression;
    case CtKey::Source:
    case CtKey::Destination: {
      const std::size_t size = ruleset::load_size(load.key, table_->table->family);
      return store_address(load.key == CtKey::Source ? tuple.source : tuple.destination, size);
    }
    case CtKey::SourceIp:
      return store_address(tuple.source, 4);
    case CtKey::DestinationIp:
      return store_address(tuple.destination, 4);
    case CtKey::SourceIp6:
      return store_address(tuple.source, 16);
    case CtKey::DestinationIp6:
      return store_address(tuple.destination, 16);
    case CtKey::ProtoSource:
      store(to, tuple.source_port);
      return Next::Expression;
    case CtKey::ProtoDestination:
      store(to, tuple.destination_port);
      return Next::Expression;
    case CtKey::Labels:
      store(to, flow.labels);
      return Next::Expression;
    case CtKey::Packets:
    case CtKey::Bytes:
    case CtKey::AvgPacket: {
      const auto of = [&](const std::array<std::uint64_t, 2>& counts) {
        if (!load.direction) return counts[0] + counts[1];
        return counts[reply ? 1 : 0];
      };
      const std::uint64_t packets = of(flow.packets);
      const std::uint64_t bytes = of(flow.bytes);
      std::uint64_t number = load.key == CtKey::Packets ? packets : bytes;
      frame_->reads.length |= load.key != CtKey::Packets;  // its own is among them
      if (load.key == CtKey::AvgPacket) number = packets == 0 ? 0 : bytes / packets;
      store(to, host_order(number));
      return Next::Expression;
    }
    case CtKey::Zone:
      store(to, host_order(flow.zone));
      return Next::Expression;
    case CtKey::Expiration: {
      // One that a reset has taken away keeps the time that it had.
      if (flow.entry == nullptr || (flow.status & flow_status::kDying) != 0) return not_known();
      // The kernel goes by ticks: one may pass since the packet has put off the end.
      const std::uint64_t now_ns = clock_.now_ns;
      const std::uint64_t left_ns =
          flow.entry->expires_ns > now_ns ? flow.entry->expires_ns - now_ns : 0;
      const auto in_ms = [](std::uint64_t ns) {
        return static_cast<std::uint32_t>(ns / 1'000'000);
      };
      const std::uint64_t margin_ns = doubt_about_end_ns(clock_.error_ns);
      const Next next = not_known();
      if (next == Next::Expression) {
        unknowns_.back().within = {in_ms(left_ns > margin_ns ? left_ns - margin_ns : 0),
                                   in_ms(left_ns + margin_ns)};
      }
      return next;
    }
    case CtKey::State:
    case CtKey::SecMark:
    case CtKey::EventMask:
    case CtKey::Id:
      return not_known();
  }
  return not_known();
}

Interpreter::Next Interpreter::run_ct_set(const ruleset::CtSet& set) {
  Flow& flow = frame_->flow;
  if (set.key == CtKey::Zone) {
    // A template of an earlier rule's counts as tracked; a "notrack" does not, and is undone.
    if (flow.tracking == Tracking::Entry || flow.has_template) return Next::Expression;
    if (set.direction) return undecided("a zone for one direction of the connection");
    flow.tracking = Tracking::None;
    std::memcpy(&flow.zone, at(set.source), sizeof(flow.zone));
    flow.has_template = true;
    return Next::Expression;
  }
  // Without an entry there is nothing to set, and the rule goes on.
  if (flow.tracking != Tracking::Entry) return Next::Expression;
  if (set.key == CtKey::Mark) {
    flow.mark = word(set.source);
  } else if (set.key == CtKey::Labels) {
    // nf_connlabels_replace(), with the labels as their own mask: those that are there stay.
    for (std::size_t i = 0; i < flow.labels.size(); ++i) flow.labels[i] |= at(set.source)[i];
  } else if (set.key != CtKey::SecMark && set.key != CtKey::EventMask) {
    return undecided(fmt::format("{} cannot be set", ct_key_name(set.key)));
  }
  return Next::Expression;  // nothing that is modelled reads the security mark or the event mask
}

}  // namespace rolewall::eval
