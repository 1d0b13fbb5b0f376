#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "eval/arrivals.h"
#include "eval/doubts.h"
#include "eval/eval.h"
#include "eval/fragments.h"
#include "eval/groups.h"
#include "eval/hook_plan.h"
#include "eval/interpreter.h"
#include "eval/link_chains.h"
#include "eval/nat.h"
#include "eval/other_tables.h"
#include "eval/path_mtu.h"
#include "eval/route.h"
#include "eval/shown.h"
#include "eval/stack.h"
#include "eval/stage_walk.h"
#include "eval/stopped.h"
#include "eval/tracker.h"
#include "eval/truncated.h"
#include "eval/undo.h"
#include "eval/ways_out.h"
#include "net/protocol.h"
#include "ruleset/hook_device.h"
#include "ruleset/rule_parts.h"

namespace rolewall::eval {
namespace {

using ruleset::Family;
using ruleset::Hook;

bool sends_reset(const Program& program, const Decision& decision) {
  const Program::Chain& chain = program.tables()[decision.table].chains[decision.chain];
  return ruleset::sends_reset(*chain.rules[decision.rule].rule,
                              program.tables()[decision.table].table->family);
}

std::vector<const ruleset::TableIndex*> names_of(const Program& program) {
  std::vector<const ruleset::TableIndex*> all;
  for (const Program::Table& table : program.tables()) all.push_back(&table.names);
  return all;
}

}  // namespace

class Evaluator::Machine {
 public:
  Machine(const ruleset::Ruleset& ruleset, const ruleset::Host& host, PartialSets* partial)
      : tracker_(host),
        program_(ruleset, state_, partial),
        other_tables_(program_),
        link_chains_(program_, host),
        host_(host),
        routes_(host),
        interpreter_(program_, state_, routes_),
        own_(OwnAddresses::of(host)),
        arrivals_(host, routes_, own_),
        ways_out_(host, routes_, own_),
        path_mtu_(host),
        groups_(host),
        order_(names_of(program_)),
        ingress_(plan_device_hook(program_, order_, Hook::Ingress)),
        egress_(plan_device_hook(program_, order_, Hook::Egress)),
        ipv4_(plan_family(program_, order_, false)),
        ipv6_(plan_family(program_, order_, true)) {}

  // One packet's whole way, by `way`.
  Journey ask(void (Machine::*way)(const Packet&, const Options&, Journey&), const Packet& packet,
              const Options& options) {
    behind_.reset();
    return first_way(way, packet, options);
  }
  Journey first_way(void (Machine::*way)(const Packet&, const Options&, Journey&),
                    const Packet& packet, const Options& options) {
    interpreter_.choices().forget();
    orders_taken_.clear();
    return follow(way, packet, options);
  }
  Journey follow(void (Machine::*way)(const Packet&, const Options&, Journey&),
                 const Packet& packet, const Options& options) {
    if (!options.keep_state) forget();
    state_.begin(options.now_ns);
    state_.begin_packet();
    Journey journey;
    (this->*way)(packet, options, journey);
    if (options.note_shown) note_left(journey);
    if (state_.met_doubt() || tracker_.flows().met_doubt()) {
      journey.conditions.push_back({.about = "an earlier packet, of which not all is known",
                                    .is = "as it was taken to be",
                                    .assumed = true});
    }
    if (!options.keep_state) forget();
    return journey;
  }
  Outcomes outcomes(void (Machine::*way)(const Packet&, const Options&, Journey&),
                    const Packet& packet, const Options& options) {
    // Without a state to keep each begins with none, and what there is stays aside.
    std::optional<Memory> aside;
    if (!options.keep_state) aside = memory();
    Outcomes outcomes;
    std::optional<Left> first;
    doubts_ = {};
    interpreter_.choices().forget();
    do {
      if (outcomes.ways.size() == Outcomes::kMost) {
        outcomes.complete = false;
        doubts_.add_all(*first);
        break;
      }
      if (options.keep_state) note_changes(&undo_);
      orders_taken_.clear();
      outcomes.ways.push_back(follow(way, packet, options));
      if (!first) first = left();
      doubts_.add_differences(*first, left());
      note_changes(nullptr);
      undo_.take_back();
    } while (interpreter_.choices().next());
    if (aside) exchange(*aside);
    return outcomes;
  }
  Outcomes next(void (Machine::*way)(const Packet&, const Options&, Journey&), const Packet& packet,
                Options options) {
    options.keep_state = true;
    if (!behind_) behind_ = memory();
    gathered_ = false;
    Outcomes outcomes;
    outcomes.ways.push_back(first_way(way, packet, options));
    const bool has_others =
        std::ranges::any_of(outcomes.ways.front().conditions,
                            [](const Condition& condition) { return !condition.assumed; });
    doubts_ = {};
    const bool met_doubt = state_.met_doubt() || tracker_.flows().met_doubt();
    const bool is_new = tracker_.flows().has_begun_one();
    // If its group is not joined, it was not delivered, and has left nothing behind.
    const bool is_in_doubt = met_doubt || outcomes.ways.front().takes_group_as_joined;
    if (is_in_doubt || options.doubtful) doubts_.add_all(left());
    exchange(*behind_);
    if (has_others) {
      Doubts spread = std::move(doubts_);
      outcomes = this->outcomes(way, packet, options);
      doubts_.merge(spread);
    }
    if (is_in_doubt || has_others) {
      // Where one's translation differs, so may the address or port that another gets.
      doubts_.all_flows =
          (has_others || is_new) && !doubts_.flows.empty() && (ipv4_.has_nat || ipv6_.has_nat);
      doubts_.fragments = gathered_;
    }
    // What the ways that are not listed would have left behind may be anything.
    doubts_.all_flows |= !outcomes.complete;
    doubts_.all_state = options.doubtful || !outcomes.complete;
    first_way(way, packet, options);
    take_doubts(options.now_ns);
    exchange(*behind_);
    take_doubts(options.now_ns);
    return outcomes;
  }
  Courses converse(std::span<const Turn> turns, Options options, const Assignment* given) {
    options.keep_state = true;
    Courses courses;
    Choices& choices = interpreter_.choices();
    choices.forget();
    choices.give(given);
    do {
      if (courses.ways.size() == options.most_courses) {
        courses.complete = false;
        break;
      }
      forget();
      orders_taken_.clear();
      Course& course = courses.ways.emplace_back();
      for (const Turn& turn : turns) {
        choices.begin_turn(static_cast<std::uint32_t>(course.turns.size()));
        const bool arrives = turn.direction == Direction::Arrive;
        course.turns.push_back(
            follow(arrives ? &Machine::arrive : &Machine::send, turn.packet, options));
        if (course.turns.back().fate() != Fate::Accept) break;
      }
      course.taken = choices.assignment();
    } while (choices.next());
    choices.forget();
    forget();
    return courses;
  }
  Left left() const {
    return {state_.touched_cells(), state_.touched_elements(), tracker_.flows().touched()};
  }
  void take_doubts(std::uint64_t now_ns) {
    for (const auto& [cell, tokens] : doubts_.cells) state_.doubt(cell, tokens, now_ns);
    for (const State::ElementKey& element : doubts_.elements) state_.doubt(element);
    for (const Flows::Key& flow : doubts_.flows) tracker_.doubt(flow);
    if (doubts_.all_state) state_.doubt_all();
    if (doubts_.all_flows) tracker_.doubt_all_flows();
    if (doubts_.fragments) fragments_are_doubtful_ = true;
  }
  Tracker& tracker() { return tracker_; }
  const FamilyPlan& plan_of(bool ipv6) const { return ipv6 ? ipv6_ : ipv4_; }
  std::vector<std::uint32_t> interfering_tables() { return other_tables_.interfering(); }
  void arrive(const Packet& packet, const Options& options, Journey& journey);
  void send(const Packet& packet, const Options& options, Journey& journey);

  void forget() {
    state_.forget();
    tracker_.forget();
    fragments_.clear();
    fragments_are_doubtful_ = false;
    behind_.reset();
  }

 private:
  // What packets have left behind.
  struct Memory {
    State state;
    Flows flows;
    Fragments fragments;
  };
  Memory memory() const { return {state_, tracker_.flows(), fragments_}; }
  void note_changes(Undo* undo) {
    state_.note_changes(undo);
    tracker_.note_changes(undo);
    tries_ = undo != nullptr;
  }
  void exchange(Memory& memory) {
    std::swap(state_, memory.state);
    tracker_.exchange(memory.flows);
    std::swap(fragments_, memory.fragments);
  }

  // Each returns whether the packet goes on.
  bool run_device_hook(Hook hook, Frame& frame, const Options& options, Journey& journey);
  bool is_on_device(const Stage& stage, std::string_view device) const;
  bool run_hook(Hook hook, const HookPlan& plan, Frame& frame, const Options& options,
                Journey& journey);
  static bool stays(Frame& frame, HookResult& result);
  bool run_nat(const HookPlan& plan, Frame& frame, const Options& options, HookResult& result);
  StageWalk::IsAsked asks(const Options& options);
  bool run_chain(const Stage& stage, Frame& frame, const Options& options, HookResult& result);
  bool gather(Frame& frame, Fragments::User user, const Options& options, HookResult& result);
  bool is_foreign(const Frame& frame) const;
  void receive(Frame& frame, const Options& options, Journey& journey);
  void leave(Frame& frame, const Options& options, Journey& journey);
  void deliver(Frame& frame, const Options& options, Journey& journey);
  void forward(Frame& frame, const Options& options, Journey& journey);
  bool asks_for_route(const Stage& stage, const RouteKey& before, const Frame& frame) const;
  static Packet packet_now(const Frame& frame);
  static void finish(Frame& frame, Journey& journey);
  static bool lacks_headers(Frame& frame, Hook hook, Journey& journey);

  const FamilyPlan& plan_for(const Frame& frame) const { return plan_of(frame.ipv6); }
  Frame frame_of(const Packet& packet);
  static void dissect(Frame& frame);

  State state_;
  Tracker tracker_;
  Fragments fragments_;
  // next() alone: what was there before the last packet. It follows one packet behind, at the cost
  // of a second run, where a copy for each packet would cost all the flows.
  std::optional<Memory> behind_;
  Undo undo_;
  bool tries_ = false;     // a way, which is taken back
  Doubts doubts_;          // of the last packet
  bool gathered_ = false;  // a fragment, by any way of the last packet
  bool fragments_are_doubtful_ = false;
  Program program_;
  OtherTables other_tables_;
  LinkChains link_chains_;
  const ruleset::Host& host_;
  Routes routes_;
  Interpreter interpreter_;
  OwnAddresses own_;
  Arrivals arrivals_;
  WaysOut ways_out_;
  PathMtu path_mtu_;
  Groups groups_;
  ruleset::HookOrder order_;
  OrdersTaken orders_taken_;  // on the way that is gone
  Stages ingress_;
  Stages egress_;
  FamilyPlan ipv4_;
  FamilyPlan ipv6_;
};

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
  // Each link has its own, which no policy lists: what was sent to one here was for this host,
  // unless it is said where it goes on to.
  const bool goes_on = !routes_.known() && !frame.packet->out_device.empty();
  if (is_link_local(to) && !goes_on) {
    return routes_.known() && !routes_.leads_here(to, frame.in_device);
  }
  return is_for_another_host(frame.bytes, frame.ipv6, own_) && !routes_.leads_here(to);
}

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
  tracker_.keep(frame, options, !journey.hooks.empty() && journey.fate() == Fate::Accept);
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
  if (!run_device_hook(Hook::Ingress, frame, options, journey)) return;
  if (frame.type == PacketType::OtherHost &&
      stop(Hook::Prerouting, "sent to another machine's Ethernet address")) {
    return;
  }
  if (const std::string vrf = arrivals_.vrf_of(packet.in_device); !vrf.empty()) {
    journey.hooks.push_back(
        not_modelled(Hook::Prerouting, fmt::format("the VRF {}, which is not modelled", vrf)));
    return;
  }
  if (stop(Hook::Prerouting, arrivals_.reception_error(frame))) return;
  if (stop(Hook::Prerouting, frame.ipv6 ? receive_ipv6_error(frame.bytes, loopback)
                                        : receive_ipv4_error(frame.bytes))) {
    return;
  }
  // It keeps the way that it was sent by (skb_valid_dst()), whatever a rule writes into it now.
  const bool routed = loopback && sent_by_this_host(frame.bytes, frame.ipv6, own_);
  if (!run_hook(Hook::Prerouting, plan_for(frame).prerouting, frame, options, journey)) return;
  // A bridge asks no routes (br_nf_forward_ip()).
  const bool foreign = packet.is_bridged || (!routed && is_foreign(frame));
  const bool passes_on = packet.is_bridged || (foreign && arrivals_.may_forward(frame));
  // What else is for this host (an address of all its network's routers, a broadcast) the routes
  // know better than its addresses.
  const Forwarding forwarding = foreign && !passes_on ? Forwarding::Off : Forwarding::On;
  const Hook next = passes_on ? Hook::Forward : Hook::Input;
  if (auto refused = groups_.refusal(frame, journey)) {
    journey.hooks.push_back(std::move(*refused));
    return;
  }
  if (frame.ipv6 && foreign && !passes_on && stop(next, kNotForThisHost)) return;
  if (passes_on && !ways_out_.find(frame, journey)) return;
  if (!packet.is_bridged &&
      !arrivals_.let_pass(frame, {.next = next, .forwarding = forwarding, .routed = routed},
                          journey)) {
    return;
  }
  if (passes_on) {
    forward(frame, options, journey);
  } else {
    deliver(frame, options, journey);
  }
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
  tracker_.keep(frame, options, !journey.hooks.empty() && journey.fate() == Fate::Accept);
  finish(frame, journey);
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
