// The table of connection tracking, for packets that are one conversation (Options::keep_state):
// entries found by the tuple of either direction, made when a flow's first packet has passed its
// last hook (nf_conntrack_confirm()), gone when the virtual clock has passed their time.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/conntrack.h"
#include "eval/flow_timeouts.h"
#include "eval/taken_ports.h"
#include "eval/tcp_track.h"
#include "eval/undo.h"

namespace rolewall::eval {

// struct nf_conn, as far as packets tell.
struct FlowEntry {
  Tuple original;
  Tuple reply;
  std::uint16_t zone = 0;
  std::uint32_t status = 0;
  std::uint32_t mark = 0;
  std::array<std::uint8_t, 16> labels{};
  std::array<std::uint64_t, 2> packets{};  // by direction
  std::array<std::uint64_t, 2> bytes{};
  std::uint64_t began_ns = 0;
  std::uint64_t expires_ns = 0;
  std::uint64_t stream_ns = 0;  // UDP: from when on it counts as a stream
  TcpTrack tcp;
  // By which devices the first packet came and left (Flows::name()); 0: it began or ended here.
  std::uint16_t came_by = 0;
  std::uint16_t left_by = 0;
  bool expects = false;      // it has a helper or an expectation: later flows may be related to it
  std::uint16_t helper = 0;  // Flows::name(); 0: none
  std::uint16_t masters_helper = 0;  // of the flow that expected it
  std::uint16_t timeouts = 0;        // Flows::own_timeouts(); 0: the kernel's settings
  bool operator==(const FlowEntry&) const = default;
};

// A packet that this host answers itself: its entry, whether or not it has come to be.
struct Cause {
  FlowEntry entry;
  bool is_reply = false;  // it went the other way than the flow's first packet
  bool by_reset = false;  // a rule's; else by an ICMP error
  std::uint64_t at_ns = 0;
  bool operator==(const Cause&) const = default;
};

class Flows {
 public:
  struct Found {
    FlowEntry* entry = nullptr;
    bool is_reply = false;
  };
  // What is older than its time is no longer there. The clock does not go back.
  void move_clock(std::uint64_t now_ns) {
    note([this, was = now_ns_] { now_ns_ = was; });
    now_ns_ = std::max(now_ns_, now_ns);
  }
  Found find(const Tuple& tuple, std::uint16_t zone);
  // The flow of a packet as it looks once all is translated, and is_reply as that packet is.
  Found find_translated(const Tuple& tuple, std::uint16_t zone);
  // The same as find(), whether or not its time is over; null where there is none.
  const FlowEntry* peek(const Tuple& tuple, std::uint16_t zone) const;
  // The flow of this tuple, where it is `margin_ns` at most before or after its end, or any time
  // after where that is not known; else null.
  FlowEntry* at_its_end(const Tuple& tuple, std::uint16_t zone, std::uint64_t margin_ns);
  // The flows that may expect others, the latest first: of those alike in what an expected one
  // has of them one.
  std::vector<const FlowEntry*> expecting() const;
  void note_expecting(FlowEntry& entry);
  std::size_t size() const { return entries_.size(); }
  // The one that has begun first. REQUIRES: there is one.
  void remove_oldest();
  // Takes away what is over, which else waits until it is asked for: at most once a second of the
  // clock.
  void collect();
  // Whether a flow has this tuple in either direction (nf_conntrack_tuple_taken()).
  bool has(const Tuple& tuple, std::uint16_t zone) const;
  // Of the flows whose first packet came from this tuple's source the last one that `fits`: what it
  // has been translated to, the source's next flow may be too (find_appropriate_src()). Of very
  // many only the last ones are asked.
  struct FromSource {
    const FlowEntry* entry = nullptr;
    bool all_asked = true;
  };
  template <class Fits>
  FromSource last_from_source_of(const Tuple& tuple, std::uint16_t zone, Fits fits) const;
  // What a search has found taken of the tuples that differ from this one in a port alone, for
  // which it has 0. Absent, unless `create`.
  TakenPorts* taken_ports(const Tuple& tuple, std::uint16_t zone, bool create) const;
  // A search has passed over flows, among which may be doubtful ones.
  void note_passed_over() const { met_doubt_ |= all_doubtful_ || !doubtful_.empty(); }
  // A tuple that is taken keeps its first flow: the kernel drops the packet of the second.
  bool confirm(FlowEntry entry);
  void remove(const FlowEntry& entry);
  void clear();

  // Devices and helpers by numbers, so that an entry is small; 0 is "".
  std::uint16_t number_of(std::string_view name);
  const std::string& name(std::uint16_t number) const { return names_[number]; }
  std::uint16_t number_of(const FlowTimeouts& timeouts);
  // Null: the kernel's settings.
  const FlowTimeouts* own_timeouts(const FlowEntry& entry) const;

  // The host's answer comes at once. By the tuple of the packet that caused it.
  void note_cause(const Tuple& tuple, const Cause& cause);
  const Cause* cause_of(const Tuple& tuple) const;

  struct Key {
    Tuple tuple;
    std::uint16_t zone = 0;
    auto operator<=>(const Key&) const = default;
  };

  // As State::note_changes(): what an entry that was found was like before.
  void note_changes(Undo* undo) { undo_ = undo; }

  // --- what one packet asked for, and of what it is not certain (doubts.h) ---
  void begin_packet();
  bool met_doubt() const { return met_doubt_; }
  // Both tuples of the packet's flow: where it is confirmed, or might have been.
  void touch(const Tuple& tuple, std::uint16_t zone) { touched_.push_back({tuple, zone}); }
  std::map<Key, std::optional<FlowEntry>> touched() const;
  void doubt(const Key& key);
  void doubt_all() {
    note([this, was = all_doubtful_] { all_doubtful_ = was; });
    all_doubtful_ = true;
  }
  // Whether the packet has begun a flow.
  bool has_begun_one() const { return has_begun_one_; }

 private:
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  struct Place {
    std::uint64_t entry = 0;
    bool is_reply = false;
  };
  void list(const FlowEntry& entry, std::uint64_t number);

  // Entries in the order in which they came. One that is removed leaves its number, until half of
  // them are such: a removal costs no more where there are many.
  struct Numbers {
    std::vector<std::uint64_t> all;
    std::size_t gone = 0;
  };
  // REQUIRES: the entry is removed, and stood there.
  void note_gone(Numbers& numbers);
  // The entry that was confirmed last is as if it had never been.
  void take_back_confirmed(std::uint64_t number);
  void forget_taken(const FlowEntry& entry);

  template <class Back>
  void note(Back back) {
    if (undo_ != nullptr) undo_->note(std::move(back));
  }
  // The entry, that the caller may change.
  FlowEntry& to_change(std::uint64_t number);
  void note_removal(std::uint64_t number);

  static Key source_key(const Tuple& tuple, std::uint16_t zone);

  Undo* undo_ = nullptr;
  std::uint64_t now_ns_ = 0;
  std::uint64_t next_entry_ = 0;
  std::uint64_t collected_ns_ = 0;
  void look_for_doubt(const Key& key) const {
    met_doubt_ |= all_doubtful_ || doubtful_.contains(key);
  }

  Numbers expecting_;
  std::vector<Key> touched_;
  std::set<Key> doubtful_;
  std::set<Key> doubtful_sources_;  // of these, as source_key()
  bool all_doubtful_ = false;
  bool has_begun_one_ = false;
  mutable bool met_doubt_ = false;
  std::unordered_map<std::uint64_t, FlowEntry> entries_;
  std::unordered_map<Key, Place, KeyHash> by_tuple_;
  std::uint64_t oldest_ = 0;  // no entry's number is lower
  std::map<Tuple, Cause> causes_;
  std::size_t many_causes_ = 1024;  // from so many on it is worth looking which are over
  std::vector<std::string> names_{""};
  std::vector<FlowTimeouts> timeouts_;
  std::unordered_map<Key, Numbers, KeyHash> by_source_;
  mutable std::unordered_map<Key, TakenPorts, KeyHash> taken_ports_;
};

template <class Fits>
Flows::FromSource Flows::last_from_source_of(const Tuple& tuple, std::uint16_t zone,
                                             Fits fits) const {
  constexpr std::size_t kMostAsked = 1024;
  // One from the same source may be there that is not seen here.
  met_doubt_ |= doubtful_sources_.contains(source_key(tuple, zone));
  const auto source = by_source_.find(source_key(tuple, zone));
  if (source == by_source_.end()) return {};
  const std::vector<std::uint64_t>& all = source->second.all;
  std::size_t asked = 0;
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    const auto entry = entries_.find(*at);
    if (entry == entries_.end()) continue;
    if (++asked > kMostAsked) return {.all_asked = false};
    if (fits(entry->second)) return {.entry = &entry->second};
  }
  return {};
}

// What a packet of the flow does to it: the protocol's timeouts and states, and the counts. The
// first packet too, before it is confirmed.
TcpAnswer::What follow_flow(FlowEntry& entry, ByteSpan packet, bool is_reply, std::uint64_t now_ns,
                            const TrackingSettings& settings);

// nf_conntrack_tcp_set_closing(), where `packet` of the flow is answered with a reset; a reset is
// not.
void close_flow(FlowEntry& entry, ByteSpan packet, std::uint64_t now_ns,
                const TrackingSettings& settings);

}  // namespace rolewall::eval
