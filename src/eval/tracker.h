// Connection tracking on a packet's way: nf_conntrack_in() before the rules, nf_conntrack_confirm()
// behind the last hook (net/netfilter/nf_conntrack_core.c). Without Options::keep_state every
// packet is a flow's first, on a host without history.
#pragma once

#include <cstdint>
#include <optional>

#include "eval/eval.h"
#include "eval/flows.h"
#include "eval/frame.h"
#include "ruleset/host.h"

namespace rolewall::eval {

// No two connections may have the same answers: of a translation that finds no port, say.
inline constexpr const char* kNotConfirmed =
    "connection tracking drops it, since its answers would belong to another connection";

class Tracker {
 public:
  // Holds a reference: it must outlive this.
  explicit Tracker(const ruleset::Host& host) : host_(host) {}

  // A packet comes. What earlier ones have left is asked about before it is tracked, too.
  void begin(Frame& frame, const Options& options);
  // Fills frame.flow. `has_nat`: the hooks of NAT are there, and have settled what comes back over
  // the loopback. Not null: the packet goes no further, and why.
  const char* track(Frame& frame, const Options& options, bool has_nat);
  // What a packet that leaves by the loopback brings along as it arrives there.
  static std::optional<Packet::Carried> carried_of(const Frame& frame);
  // At the end of the last hook (nf_confirm()), where a flow that nobody has seen is to be
  // remembered. Not null: the packet goes no further, and why.
  const char* refuses(const Frame& frame, const Options& options);
  // The same of a packet to many that came by a bridge, before input: from then on it is in the
  // table, whatever becomes of the packet.
  const char* confirm(Frame& frame, const Options& options);
  // A packet that has left by the loopback and now arrives there, as the same.
  void come_back(Frame& frame, const Options& options, bool has_nat);
  // Remembers the flow, where packets are one conversation. `accepted`: by the last hook too.
  void keep(Frame& frame, const Options& options, bool accepted);
  // nf_ct_set_closing(): a rule has answered this packet with a TCP reset.
  void note_reset(const Frame& frame, const Options& options);

  // The host itself answers this packet, by a rule's reset or by an ICMP error.
  void note_cause(const Frame& frame, const Options& options, bool by_reset);

  // What later packets find.
  const Flows& flows() const { return flows_; }
  void doubt(const Flows::Key& key) { flows_.doubt(key); }
  void doubt_all_flows() { flows_.doubt_all(); }
  // Evaluator::has_answered() and origin_of(), between packets.
  bool has_answered(const Packet& packet, std::uint64_t now_ns);
  std::optional<Origin> origin_of(const Packet& packet, std::uint64_t now_ns);
  void note_changes(Undo* undo) { flows_.note_changes(undo); }
  void exchange(Flows& flows) { std::swap(flows_, flows); }
  void forget() { flows_.clear(); }

 private:
  bool find_flow(Frame& frame, Checksums checksums, const Options& options);
  bool find_related(Frame& frame, const Options& options);
  bool find_cause(Frame& frame);
  // What the kernel alone knows, as choices.
  void settle_end(Frame& frame, const Tuple& tuple, const Options& options);
  const TrackingSettings& settings_of(const FlowEntry& entry) const;
  void give_timeouts(FlowEntry& entry, const Flow& flow, std::uint64_t now_ns);
  bool has_room(Frame& frame);
  void ask_expectations(Frame& frame);

  const ruleset::Host& host_;
  TrackingSettings settings_{host_.conntrack};
  Flows flows_;
  FlowEntry begun_;  // by the packet that is on its way, if it begins a flow
};

}  // namespace rolewall::eval
