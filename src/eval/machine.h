// What an Evaluator is within: the ruleset made ready, what the host remembers, and the way of a
// packet by the hooks (machine_hooks.cc) and between them (evaluator.cc).
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "eval/arrivals.h"
#include "eval/bridge.h"
#include "eval/bridge_ports.h"
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

class Evaluator::Machine {
 public:
  using Hook = ruleset::Hook;

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
        bridges_(host),
        bridge_ports_(host, routes_),
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
  static std::vector<const ruleset::TableIndex*> names_of(const Program& program) {
    std::vector<const ruleset::TableIndex*> all;
    for (const Program::Table& table : program.tables()) all.push_back(&table.names);
    return all;
  }

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
  // How a packet came through prerouting.
  struct Received {
    bool routed = false;     // on its way out over the loopback
    bool by_bridge = false;  // which asks the routes itself, since it was translated
    bool is_shown = false;   // Bridges::shows()
  };
  void receive(Frame& frame, const Options& options, Journey& journey);
  const char* reception_error(Frame& frame) const;
  bool pass_up(Frame& frame, bool is_shown, const Options& options, Journey& journey);
  void route(const Received& received, Frame& frame, const Options& options, Journey& journey);
  void send_on(Frame& frame, const Options& options, Journey& journey);
  void leave(Frame& frame, const Options& options, Journey& journey);
  bool is_turned_back(const Frame& frame) const;
  void come_back(Frame& frame, const Options& options, Journey& journey);
  void deliver(Frame& frame, const Options& options, Journey& journey);
  void forward(Frame& frame, const Options& options, Journey& journey);
  // Between the ports of a bridge.
  bool passes_below(Frame& frame, const Options& options, Journey& journey) const {
    return options.others != Others::Asked ||
           link_chains_.let_pass(Hook::Forward, frame.in_device, frame, journey);
  }
  static void pass_as_frame(Frame& frame, Journey& journey);
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
  Bridges bridges_;
  BridgePorts bridge_ports_;
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

}  // namespace rolewall::eval
