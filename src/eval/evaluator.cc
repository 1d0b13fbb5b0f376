// The way of a packet from hook to hook: what arrives, what is passed on, what this host sends.
#include <fmt/format.h>

#include "eval/machine.h"

namespace rolewall::eval {
namespace {

// nf_confirm() stands at the end of input and of postrouting, before the hook of the device.
bool is_confirmed(const Journey& journey) {
  if (journey.hooks.empty()) return false;
  return journey.fate() == Fate::Accept || journey.hooks.back().hook == ruleset::Hook::Egress;
}

}  // namespace

Packet Evaluator::Machine::packet_now(const Frame& frame) {
  Packet now = *frame.packet;
  now.bytes.assign(frame.bytes.begin(), frame.bytes.end());
  now.out_device = frame.leaves_by;
  now.mark = frame.mark;
  now.priority = frame.priority;
  now.type = frame.type;
  return now;
}

void Evaluator::Machine::finish(Frame& frame, Journey& journey) {
  journey.after = packet_now(frame);
  journey.after.carried = Tracker::carried_of(frame);
  journey.knows_after = frame.unsure.empty();
  journey.reads = std::move(frame.reads);
  journey.conditions = std::move(frame.conditions);
  journey.shown = std::move(frame.shown);
  journey.assumed.insert(journey.assumed.end(), frame.assumed.begin(), frame.assumed.end());
}

// What a capture has cut off within the headers cannot be asked about at all.
bool Evaluator::Machine::lacks_headers(Frame& frame, Hook hook, Journey& journey) {
  const char* why = truncation_error(*frame.packet);
  if (why == nullptr) return false;
  HookResult& result = journey.hooks.emplace_back();
  result.hook = hook;
  result.fate = Fate::Undecided;
  result.reason = why;
  finish(frame, journey);
  return true;
}

void Evaluator::Machine::arrive(const Packet& packet, const Options& options, Journey& journey) {
  Frame frame = frame_of(packet);
  frame.in_device = packet.in_device;
  if (packet.carried && packet.carried->untracked && packet.in_device == kLoopbackDevice) {
    frame.flow.tracking = Tracking::Untracked;
  }
  frame.notes_reads = options.note_reads;
  tracker_.begin(frame, options);
  if (lacks_headers(frame, Hook::Prerouting, journey)) return;
  receive(frame, options, journey);
  if (!journey.hooks.empty() && journey.fate() == Fate::Stack) {
    tracker_.note_cause(frame, options, false);
  }
  tracker_.keep(frame, options, is_confirmed(journey));
  finish(frame, journey);
}

void Evaluator::Machine::receive(Frame& frame, const Options& options, Journey& journey) {
  const auto stop = [&](Hook hook, const char* reason) {
    if (reason != nullptr) journey.hooks.push_back(stopped_by_stack(hook, reason));
    return reason != nullptr;
  };
  const Packet& packet = *frame.packet;
  if (packet.ether_type != kEtherTypeIpv4 && packet.ether_type != kEtherTypeIpv6) {
    stop(Hook::Prerouting, "not an IP packet");
    return;
  }
  const bool loopback = packet.in_device == kLoopbackDevice;
  using Bridged = BridgePorts::Way;
  Bridged way = Bridged::Routed;
  if (bridge_ports_.is_open(frame) && is_foreign(frame)) way = bridge_ports_.choose(frame);
  if (way != Bridged::Routed && !passes_below(frame, options, journey)) return;
  if (way == Bridged::Frame) {
    pass_as_frame(frame, journey);
    return;
  }
  frame.is_bridged = way == Bridged::Shown;
  const bool is_shown = frame.is_bridged || bridges_.shows(frame);
  if (!is_shown && !run_device_hook(Hook::Ingress, frame, options, journey)) return;
  const bool between_ports = frame.is_bridged || (is_shown && frame.type == PacketType::OtherHost);
  if (between_ports) {
    frame.type = PacketType::Host;  // setup_pre_routing(), br_nf_forward_ip()
  } else if (frame.type == PacketType::OtherHost &&
             stop(Hook::Prerouting, "sent to another machine's Ethernet address")) {
    return;
  }
  if (const std::string vrf = arrivals_.vrf_of(packet.in_device); !vrf.empty()) {
    journey.hooks.push_back(
        not_modelled(Hook::Prerouting, fmt::format("the VRF {}, which is not modelled", vrf)));
    return;
  }
  if (stop(Hook::Prerouting, is_shown ? Bridges::validation_error(frame.bytes, frame.ipv6)
                                      : reception_error(frame))) {
    return;
  }
  const net::Address sent_to = destination_of(frame.bytes, frame.ipv6);
  // It keeps the way that it was sent by (skb_valid_dst()), whatever a rule writes into it now.
  const bool routed = loopback && sent_by_this_host(frame.bytes, frame.ipv6, own_);
  if (!run_hook(Hook::Prerouting, plan_for(frame).prerouting, frame, options, journey)) return;
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const bool by_bridge = to != sent_to && bridges_.may_show(frame);
  if (between_ports && !by_bridge) {
    frame.leaves_by = frame.in_device;
    send_on(frame, options, journey);
    return;
  }
  if (!by_bridge && !pass_up(frame, is_shown, options, journey)) return;
  if (by_bridge && frame.ipv6 && net::is_multicast(to)) {
    journey.hooks.push_back(
        not_modelled(Hook::Input, "a bridge's frame, translated to a group: that is not modelled"));
    return;
  }
  route({.routed = routed, .by_bridge = by_bridge, .is_shown = is_shown}, frame, options, journey);
}

void Evaluator::Machine::route(const Received& received, Frame& frame, const Options& options,
                               Journey& journey) {
  const auto stop = [&](Hook hook, const char* reason) {
    if (reason != nullptr) journey.hooks.push_back(stopped_by_stack(hook, reason));
    return reason != nullptr;
  };
  const Packet& packet = *frame.packet;
  // A bridge asks no routes (br_nf_forward_ip()).
  const bool foreign = packet.is_bridged || (!received.routed && is_foreign(frame));
  const bool passes_on = packet.is_bridged || (foreign && arrivals_.may_forward(frame));
  const Hook next = passes_on ? Hook::Forward : Hook::Input;
  if (auto refused = groups_.refusal(frame, journey)) {
    journey.hooks.push_back(std::move(*refused));
    return;
  }
  // A bridge asks IPv6's routes whether or not the host forwards (ip6_route_input()).
  const bool looks_up = passes_on || (received.by_bridge && frame.ipv6 && foreign);
  if (!looks_up && frame.ipv6 && foreign && stop(next, kNotForThisHost)) return;
  if (looks_up && !ways_out_.find(frame, journey)) return;
  const bool sent_on = received.by_bridge && looks_up && frame.leaves_by == frame.in_device;
  // What else is for this host (an address of all its network's routers, a broadcast) the routes
  // know better than its addresses.
  const Forwarding forwarding =
      foreign && !passes_on && !sent_on ? Forwarding::Off : Forwarding::On;
  const Arrivals::Way way{
      .next = next, .forwarding = forwarding, .routed = received.routed, .as_frame = sent_on};
  if (!packet.is_bridged && !arrivals_.let_pass(frame, way, journey)) return;
  if (sent_on) {
    send_on(frame, options, journey);
    return;
  }
  if (received.by_bridge) {
    // A link's own address has its device's route, as one behind it has (ip6_rt_get_dev_rcu()).
    const net::Address to = destination_of(frame.bytes, frame.ipv6);
    if (frame.ipv6 && is_link_local(to) && !foreign &&
        stop(next, "the bridge looks for its own link-local address behind its ports, in vain")) {
      return;
    }
    frame.type = PacketType::Host;
    if (!pass_up(frame, received.is_shown, options, journey)) return;
  }
  if (passes_on) {
    forward(frame, options, journey);
  } else {
    deliver(frame, options, journey);
  }
}

// ip_rcv_core(), ip6_rcv_core().
const char* Evaluator::Machine::reception_error(Frame& frame) const {
  if (const char* error = arrivals_.reception_error(frame)) return error;
  const bool loopback = frame.packet->in_device == kLoopbackDevice;
  return frame.ipv6 ? receive_ipv6_error(frame.bytes, loopback) : receive_ipv4_error(frame.bytes);
}

// br_pass_frame_up(): what a bridge has shown to prerouting comes to its device behind that. What
// is for many is a connection from then on (br_nf_local_in()): input translates it no more.
bool Evaluator::Machine::pass_up(Frame& frame, bool is_shown, const Options& options,
                                 Journey& journey) {
  const bool to_many = frame.type == PacketType::Broadcast || frame.type == PacketType::Multicast;
  const bool may_translate = !plan_for(frame).input.nat_chains.entries.empty();
  if (to_many && (is_shown || (may_translate && bridges_.may_show(frame)))) {
    if (const char* why = tracker_.confirm(frame, options)) {
      journey.hooks.push_back(stopped_by_stack(Hook::Input, why));
      return false;
    }
  }
  if (!is_shown) return true;
  if (!run_device_hook(Hook::Ingress, frame, options, journey)) return false;
  const char* error = reception_error(frame);
  if (error != nullptr) journey.hooks.push_back(stopped_by_stack(Hook::Input, error));
  return error == nullptr;
}

// br_handle_frame_finish(): as a frame, with its hops as they are.
void Evaluator::Machine::send_on(Frame& frame, const Options& options, Journey& journey) {
  if (!frame.is_bridged) {
    if (std::string error = bridges_.forward_error(frame); !error.empty()) {
      journey.hooks.push_back(stopped_by_stack(Hook::Forward, std::move(error)));
      return;
    }
  }
  const FamilyPlan& plan = plan_for(frame);
  if (!run_hook(Hook::Forward, plan.forward, frame, options, journey)) return;
  if (!run_hook(Hook::Postrouting, plan.postrouting, frame, options, journey)) return;
  if (std::string error = bridges_.send_error(frame); !error.empty()) {
    stop(journey.hooks.back(), std::move(error));
  }
}

// The bridge's own chains, and its ports', are all that it meets.
void Evaluator::Machine::pass_as_frame(Frame& frame, Journey& journey) {
  frame.leaves_by = frame.in_device;
  HookResult& result = journey.hooks.emplace_back();
  result.hook = Hook::Forward;
  result.reason = "a frame between a bridge's ports, which no chain of IP sees";
}

void Evaluator::Machine::deliver(Frame& frame, const Options& options, Journey& journey) {
  // ip_local_deliver() puts datagrams together before the hook; IPv6 does it behind.
  if (!frame.ipv6) {
    HookResult gathered;
    gathered.hook = Hook::Input;
    if (!gather(frame, Fragments::User::LocalDelivery, options, gathered)) {
      journey.hooks.push_back(std::move(gathered));
      return;
    }
  }
  frame.rewritten_options = !frame.ipv6 && rewrites_options(frame.bytes);
  run_hook(Hook::Input, plan_for(frame).input, frame, options, journey);
}

void Evaluator::Machine::forward(Frame& frame, const Options& options, Journey& journey) {
  const bool same_device = frame.leaves_by == frame.in_device;
  if (const char* reason = forward_error(frame.bytes, frame.ipv6, frame.type, same_device)) {
    journey.hooks.push_back(stopped_by_stack(Hook::Forward, reason));
    return;
  }
  if (const std::string reason = path_mtu_.forward_error(frame, frame.route); !reason.empty()) {
    journey.hooks.push_back(stopped_by_stack(Hook::Forward, reason));
    return;
  }
  if (frame.has_socket) {
    journey.hooks.push_back(
        stopped_by_stack(Hook::Forward, "a transparent socket took it, so it is not forwarded"));
    return;
  }
  count_hop(frame.own_bytes(), frame.ipv6);
  frame.rewritten_options = !frame.ipv6 && rewrites_options(frame.bytes);
  if (!frame.ipv6) {
    const std::uint32_t before = frame.priority;
    frame.priority = forwarded_priority(frame.bytes);
    frame.priority_is_set = true;
    frame.priority_is_by_tos = frame.priority != before;
  }
  const FamilyPlan& plan = plan_for(frame);
  if (!run_hook(Hook::Forward, plan.forward, frame, options, journey)) return;
  if (!run_hook(Hook::Postrouting, plan.postrouting, frame, options, journey)) return;
  run_device_hook(Hook::Egress, frame, options, journey);
}

void Evaluator::Machine::send(const Packet& packet, const Options& options, Journey& journey) {
  Frame frame = frame_of(packet);
  frame.leaves_by = packet.out_device;
  frame.notes_reads = options.note_reads;
  tracker_.begin(frame, options);
  if (lacks_headers(frame, Hook::Output, journey)) return;
  leave(frame, options, journey);
  tracker_.keep(frame, options, is_confirmed(journey));
  if (options.follows_back && journey.fate() == Fate::Accept && is_turned_back(frame)) {
    come_back(frame, options, journey);
  }
  finish(frame, journey);
}

// By output's rules; what was sent over the loopback from the beginning is asked there as such.
bool Evaluator::Machine::is_turned_back(const Frame& frame) const {
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const ruleset::Route* route = routes_.find_local(to);
  const bool to_many = net::is_multicast(to) || to == net::Address{net::Ipv4{0xffffffff}} ||
                       (route != nullptr && route->type == ruleset::RouteType::Broadcast);
  return frame.leaves_by == kLoopbackDevice && frame.packet->out_device != kLoopbackDevice &&
         !to_many;
}

// loopback_xmit() leaves it its mark, its route and what connection tracking has found, and takes
// its socket away.
void Evaluator::Machine::come_back(Frame& frame, const Options& options, Journey& journey) {
  Packet back = packet_now(frame);
  back.in_device = kLoopbackDevice;
  back.out_device.clear();
  back.type = PacketType::Host;
  back.user.reset();
  back.group.reset();
  frame.whole = std::move(back);
  frame.packet = &frame.whole;
  frame.bytes = frame.whole.bytes;
  frame.type = PacketType::Host;
  frame.in_device = kLoopbackDevice;
  frame.leaves_by = {};
  frame.route = nullptr;
  tracker_.come_back(frame, options, plan_for(frame).has_nat);
  receive(frame, options, journey);
  tracker_.keep(frame, options, is_confirmed(journey));
}

void Evaluator::Machine::leave(Frame& frame, const Options& options, Journey& journey) {
  const bool is_ipv4 = frame.packet->ether_type == kEtherTypeIpv4;
  const bool whole =
      is_ipv4 ? dissect_ipv4_checked(frame.bytes).has_value()
              : frame.ipv6 && frame.bytes.size() >= ipv6::kHeaderSize && frame.bytes[0] >> 4 == 6;
  if (!whole) {
    journey.hooks.push_back(
        stopped_by_stack(Hook::Output, "not an IP packet that a host can send"));
    return;
  }
  if (is_ipv4) frame.bytes = frame.bytes.first(be16(frame.bytes.data() + ipv4::kTotalLength));
  dissect(frame);
  if (const std::string reason = path_mtu_.send_error(frame); !reason.empty()) {
    journey.hooks.push_back(stopped_by_stack(Hook::Output, reason));
    return;
  }
  const FamilyPlan& plan = plan_for(frame);
  if (!run_hook(Hook::Output, plan.output, frame, options, journey)) return;
  if (const char* reason = frame.ipv6 ? nullptr : output_ipv4_error(frame.bytes)) {
    journey.hooks.push_back(stopped_by_stack(Hook::Postrouting, reason));
    return;
  }
  if (!run_hook(Hook::Postrouting, plan.postrouting, frame, options, journey)) return;
  run_device_hook(Hook::Egress, frame, options, journey);
}

Evaluator::Evaluator(const ruleset::Ruleset& ruleset, const ruleset::Host& host,
                     PartialSets* partial)
    : machine_(std::make_unique<Machine>(ruleset, host, partial)) {}
Evaluator::~Evaluator() = default;

Journey Evaluator::arrive(const Packet& packet, const Options& options) {
  return machine_->ask(&Machine::arrive, packet, options);
}
Journey Evaluator::send(const Packet& packet, const Options& options) {
  return machine_->ask(&Machine::send, packet, options);
}
Outcomes Evaluator::outcomes(const Packet& packet, Direction direction, const Options& options) {
  return machine_->outcomes(direction == Direction::Arrive ? &Machine::arrive : &Machine::send,
                            packet, options);
}
Outcomes Evaluator::next(const Packet& packet, Direction direction, const Options& options) {
  return machine_->next(direction == Direction::Arrive ? &Machine::arrive : &Machine::send, packet,
                        options);
}
std::optional<Origin> Evaluator::origin_of(const Packet& packet, std::uint64_t now_ns) {
  return machine_->tracker().origin_of(packet, now_ns);
}
bool Evaluator::has_answered(const Packet& packet, std::uint64_t now_ns) {
  return machine_->tracker().has_answered(packet, now_ns);
}
bool Evaluator::translates_on_the_way_out(bool ipv6) const {
  const FamilyPlan& plan = machine_->plan_of(ipv6);
  return !plan.output.nat_chains.entries.empty() || !plan.postrouting.nat_chains.entries.empty();
}
bool Evaluator::reassembles(bool ipv6) const {
  return machine_->plan_of(ipv6).reassembly != ConntrackUse::Off;
}
bool Evaluator::translates(bool ipv6) const {
  return machine_->plan_of(ipv6).has_nat;
}
Courses Evaluator::converse(std::span<const Turn> turns, const Options& options,
                            const Assignment* given) {
  return machine_->converse(turns, options, given);
}
std::vector<std::uint32_t> Evaluator::interfering_tables() {
  return machine_->interfering_tables();
}
void Evaluator::reset() {
  machine_->forget();
}

}  // namespace rolewall::eval
