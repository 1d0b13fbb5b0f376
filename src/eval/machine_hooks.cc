// A packet at one hook: its stages in their order, the chains of devices, connection tracking, NAT.
#include <fmt/format.h>

#include <algorithm>

#include "eval/machine.h"

namespace rolewall::eval {
namespace {

using ruleset::Family;

bool sends_reset(const Program& program, const Decision& decision) {
  const Program::Chain& chain = program.tables()[decision.table].chains[decision.chain];
  return ruleset::sends_reset(*chain.rules[decision.rule].rule,
                              program.tables()[decision.table].table->family);
}

}  // namespace

Frame Evaluator::Machine::frame_of(const Packet& packet) {
  Frame frame;
  frame.host = &host_;
  frame.choices = &interpreter_.choices();
  frame.packet = &packet;
  frame.bytes = packet.bytes;
  frame.ipv6 = packet.ether_type == kEtherTypeIpv6;
  frame.seen_as = frame.ipv6 ? Family::Ip6 : Family::Ip;
  frame.mark = packet.mark;
  frame.priority = packet.priority;
  frame.type = packet.type;
  return frame;
}

void Evaluator::Machine::dissect(Frame& frame) {
  frame.dissection = frame.ipv6 ? dissect_ipv6(frame.bytes) : dissect_ipv4(frame.bytes);
}

// By `options.others`.
StageWalk::IsAsked Evaluator::Machine::asks(const Options& options) {
  return [this, others = options.others](const Stage& stage) {
    if (stage.kind != Stage::Kind::Chain || others == Others::Asked) return true;
    if (other_tables_.is_ours(stage.table)) return true;
    return others == Others::LetPass && other_tables_.interferes(stage.table, stage.chain);
  };
}

bool Evaluator::Machine::run_chain(const Stage& stage, Frame& frame, const Options& options,
                                   HookResult& result) {
  if (options.others != Others::Asked && !other_tables_.is_ours(stage.table)) {
    if (options.others == Others::LetPass && other_tables_.interferes(stage.table, stage.chain)) {
      interpreter_.run(stage.table, stage.chain, frame, options, result);
    } else if (options.note_shown) {
      note_shown(stage, frame, other_tables_.reads_of_tracking(stage.table), frame.shown);
    }
    return true;
  }
  ChainResult chain = interpreter_.run(stage.table, stage.chain, frame, options, result);
  // Of chains that all accept, a rule's word tells more than a policy's, and the last rule's most.
  const bool tells_more = !result.decided || chain.decision.rule != Decision::kPolicy ||
                          result.decision.rule == Decision::kPolicy;
  if (chain.fate != Fate::Accept || tells_more) {
    result.decided = true;
    result.decision = chain.decision;
  }
  result.fate = chain.fate;
  result.reason = std::move(chain.reason);
  if (chain.fate == Fate::Reject) {
    const bool resets = sends_reset(program_, chain.decision);
    if (resets) tracker_.note_reset(frame, options);
    tracker_.note_cause(frame, options, resets);
  }
  return chain.fate == Fate::Accept;
}

// The defragmenting hooks, which a packet that a rule has marked "notrack" passes by, and what
// IPv4 does before input.
bool Evaluator::Machine::gather(Frame& frame, Fragments::User user, const Options& options,
                                HookResult& result) {
  const bool by_hook = user != Fragments::User::LocalDelivery;
  if (by_hook && frame.flow.tracking == Tracking::Untracked) return true;
  if (frame.ipv6 ? !has_fragment_header(frame.bytes) : !is_ipv4_fragment(frame.bytes)) return true;
  // What this host has sent to itself is cut up again, each part with the flow that it has already:
  // these pass the IPv6 hook by.
  if (by_hook && frame.ipv6 && frame.in_device == kLoopbackDevice &&
      program_.tracking().ipv6 != ConntrackUse::Off) {
    result.fate = Fate::Undecided;
    result.decided = false;
    result.reason = "an IPv6 fragment of a known connection over the loopback device";
    return false;
  }
  gathered_ = true;
  if (fragments_are_doubtful_) state_.meet_doubt();
  const Packet fragment = packet_now(frame);
  const bool may_be_off = by_hook && plan_for(frame).reassembly == ConntrackUse::Unknown;
  Fragments on_trial;
  if (tries_) undo_.note([this, was = fragments_] { fragments_ = was; });
  const Gathered gathered =
      (may_be_off ? on_trial : fragments_)
          .gather(fragment, user, by_hook ? frame.flow.zone : 0, options.now_ns, frame.whole);
  using What = Gathered::What;
  if (may_be_off && gathered.what != What::Untouched) {
    result.fate = Fate::Undecided;
    result.reason = "a fragment: an expression that is not modelled may turn reassembly on";
    return false;
  }
  switch (gathered.what) {
    case What::Untouched:
      return true;
    case What::Whole:
      frame.fragment_size = gathered.fragment_size;
      frame.first_fragment_size = gathered.first_size;
      frame.whole.out_device = frame.packet->out_device;  // the asker's word
      frame.packet = &frame.whole;
      frame.bytes = frame.whole.bytes;
      frame.mark = frame.whole.mark;
      frame.priority = frame.whole.priority;
      frame.type = frame.whole.type;
      dissect(frame);
      return true;
    case What::Held:
      result.fate = Fate::Held;
      result.reason = "a fragment, kept until its datagram is complete";
      break;
    case What::Discarded:
      result.fate = Fate::Stack;
      result.reason = gathered.why;
      break;
    case What::Full:
      frame.conditions.push_back(
          {.about = "the memory for fragments", .is = "full", .assumed = true});
      result.fate = Fate::Stack;
      result.reason = "a fragment for which there is no memory";
      break;
  }
  result.decided = false;
  return false;
}

// nf_nat_packet(), of a connection that the question says nothing of but its state: it may have a
// translation from its first packet, by these rules or by earlier ones.
bool Evaluator::Machine::stays(Frame& frame, HookResult& result) {
  if (frame.flow.is_untranslated) return true;
  const bool translated = frame.choices->choose(2) == 1;
  frame.conditions.push_back(
      {.about = "whether its connection is translated", .is = translated ? "yes" : "no"});
  frame.flow.is_untranslated = !translated;
  if (!translated) return true;
  result.fate = Fate::Undecided;
  result.decided = false;
  result.reason = "its connection is translated: it goes where that leads";
  return false;
}

// nf_nat_inet_fn(): chains are asked about a flow's first packet, once for each direction of
// rewriting, until one translates.
bool Evaluator::Machine::run_nat(const HookPlan& plan, Frame& frame, const Options& options,
                                 HookResult& result) {
  Flow& flow = frame.flow;
  if (flow.tracking != Tracking::Entry) return true;
  const ruleset::NatKind kind = kind_at(frame.hook);
  if (flow.seen_before && !frame.notes_reads) return true;
  if (flow.seen_before) {
    return is_settled(flow, kind) || !plan_for(frame).may_translate || stays(frame, result);
  }
  if (flow.is_error) {
    if (translate_error(frame, options.trust_checksums || frame.known() < frame.bytes.size()))
      return true;
    stop(result, "an ICMP error that NAT drops");
    return false;
  }
  const bool is_first = flow.state != ruleset::ct_state::kEstablished;  // new, or expected
  if (is_first && !is_settled(flow, kind)) {
    StageWalk walk(plan.nat_chains, orders_taken_, asks(options));
    while (const Stage* chain = walk.next(frame, options.keep_state, result)) {
      if (!run_chain(*chain, frame, options, result)) return false;
      if (is_settled(flow, kind)) break;
    }
    if (walk.is_lost()) return false;
    if (!is_settled(flow, kind)) settle_without_nat(frame, kind);
  }
  if (translate(frame)) return true;
  stop(result, "too short for NAT");
  return false;
}

bool Evaluator::Machine::run_hook(Hook hook, const HookPlan& plan, Frame& frame,
                                  const Options& options, Journey& journey) {
  const bool incoming = hook == Hook::Prerouting || hook == Hook::Input;
  frame.hook = hook;
  // A forwarded packet keeps the device that it came by to its end; a program's own has none.
  if (hook == Hook::Output) frame.in_device = {};
  frame.out_device = incoming ? std::string_view() : frame.leaves_by;
  dissect(frame);

  HookResult& result = journey.hooks.emplace_back();
  result.hook = hook;
  RouteKey before;
  const std::string_view leaves_by = frame.leaves_by;
  StageWalk walk(plan.stages, orders_taken_, asks(options));
  while (const Stage* next = walk.next(frame, options.keep_state, result)) {
    const Stage& stage = *next;
    bool goes_on = true;
    if (hook == Hook::Output) before = route_key(frame);
    switch (stage.kind) {
      case Stage::Kind::Defrag:
        goes_on = gather(frame, incoming ? Fragments::User::Prerouting : Fragments::User::Output,
                         options, result);
        break;
      case Stage::Kind::Conntrack:
        if (const char* why = tracker_.track(frame, options, plan_for(frame).has_nat)) {
          stop(result, why);
          goes_on = false;
        }
        break;
      case Stage::Kind::Nat:
        goes_on = run_nat(plan, frame, options, result);
        break;
      case Stage::Kind::Chain:
        goes_on = run_chain(stage, frame, options, result);
        break;
    }
    if (!goes_on) {
      frame.leaves_by = leaves_by;  // another way that it had found does not count
      return false;
    }
    if (hook == Hook::Output && asks_for_route(stage, before, frame)) {
      if (const char* error = ways_out_.again(frame)) {
        stop(result, error);
        return false;
      }
    }
  }
  if (walk.is_lost()) return false;
  const bool is_last = hook == Hook::Input || hook == Hook::Postrouting;
  if (const char* why = is_last ? tracker_.refuses(frame, options) : nullptr) {
    stop(result, why);
    return false;
  }
  return true;
}

// nf_nat_ipv4_local_fn() looks at the destination alone; other chains' writes change no route.
bool Evaluator::Machine::asks_for_route(const Stage& stage, const RouteKey& before,
                                        const Frame& frame) const {
  if (stage.kind == Stage::Kind::Nat) {
    const std::size_t at = frame.ipv6 ? ipv6::kDestination : ipv4::kDestination;
    const auto now = frame.bytes.subspan(at, frame.ipv6 ? 16 : 4);
    return !std::equal(now.begin(), now.end(),
                       before.header.begin() + static_cast<std::ptrdiff_t>(at));
  }
  if (stage.kind != Stage::Kind::Chain) return false;
  const auto& base = program_.tables()[stage.table].chains[stage.chain].chain->base;
  return base && base->type == ruleset::ChainType::Route && route_key(frame) != before;
}

bool Evaluator::Machine::is_on_device(const Stage& stage, std::string_view device) const {
  const auto& base = program_.tables()[stage.table].chains[stage.chain].chain->base;
  return base && std::ranges::any_of(base->devices, [&](const std::string& hooked) {
           return ruleset::is_hooked(hooked, device);
         });
}

// nf_ingress() and nf_egress(). What goes out has its link header on already; conntrack's word
// about it is still there (but for what a device of another namespace takes away).
bool Evaluator::Machine::run_device_hook(Hook hook, Frame& frame, const Options& options,
                                         Journey& journey) {
  const bool arrives = hook == Hook::Ingress;
  const std::string_view device =
      arrives ? std::string_view(frame.packet->in_device) : frame.leaves_by;
  const bool asks_below = options.others == Others::Asked;
  if (arrives && asks_below && !link_chains_.let_pass(hook, device, frame, journey)) return false;
  const Stages& stages = arrives ? ingress_ : egress_;
  const auto is_here = [&](const Stage& stage) { return is_on_device(stage, device); };
  if (std::ranges::none_of(stages.entries, is_here)) {
    return arrives || !asks_below || link_chains_.let_pass(hook, device, frame, journey);
  }
  HookResult* result = &journey.hooks.emplace_back();
  result->hook = hook;
  StageWalk walk(stages, orders_taken_,
                 [&](const Stage& stage) { return is_here(stage) && asks(options)(stage); });
  while (const Stage* next = walk.next(frame, options.keep_state, *result)) {
    const Stage& stage = *next;
    if (!is_here(stage)) continue;
    if (!arrives && path_mtu_.may_be_cut(frame, frame.route)) {
      result->fate = Fate::Undecided;
      result->decided = false;
      result->reason = "a datagram that is fragmented before it leaves";
      return false;
    }
    frame.hook = hook;
    frame.in_device = arrives ? device : std::string_view();
    frame.out_device = arrives ? std::string_view() : device;
    frame.link_header_size = arrives ? 0 : link_header_size(host_, device);
    const auto dissection =
        frame.ipv6 ? dissect_ipv6_checked(frame.bytes) : dissect_ipv4_checked(frame.bytes);
    if (program_.tables()[stage.table].table->family == Family::Netdev) {
      frame.seen_as = Family::Netdev;
    } else {
      frame.seen_as = frame.ipv6 ? Family::Ip6 : Family::Ip;
      if (!dissection) {
        result->fate = Fate::Stack;
        result->reason = "a malformed IP header, dropped at the ingress hook";
        return false;
      }
    }
    frame.dissection = dissection.value_or(Dissection{});
    if (!run_chain(stage, frame, options, *result)) return false;
  }
  if (walk.is_lost()) return false;
  frame.seen_as = frame.ipv6 ? Family::Ip6 : Family::Ip;
  frame.link_header_size = 0;
  return arrives || !asks_below || link_chains_.let_pass(hook, device, frame, journey);
}

// Addressed to one other host, or to a link-local address that another device bears.
bool Evaluator::Machine::is_foreign(const Frame& frame) const {
  const net::Address to = destination_of(frame.bytes, frame.ipv6);
  const Routes routes = routes_.as_asked_by(asker_of(frame));
  // Each link has its own, which no policy lists: what was sent to one here was for this host,
  // unless it is said where it goes on to.
  const bool goes_on = !routes.known() && !frame.packet->out_device.empty();
  if (is_link_local(to) && !goes_on) {
    return (routes.known() || routes.local_known()) && !routes.leads_here(to, frame.in_device);
  }
  return is_for_another_host(frame.bytes, frame.ipv6, own_) && !routes.leads_here(to);
}

}  // namespace rolewall::eval
