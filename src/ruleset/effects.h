// What an expression does in its table, whatever its values mean: which registers it reads and
// writes, how it may end its rule, what it remembers, what it switches on by being there, and what
// it names. Stated once, in one closed visit, for all who must know it of every expression: the
// check of a ruleset, the evaluator's bounds and its conntrack, the comparison of two tables, the
// survey. What a load *means* is not here: eval/ says that, and whoever judges eval/ says it again.
//
// Widths are those that the kernel's own init functions reserve (net/netfilter/nft_*.c of 6.12, the
// function beside each in effects.cc). What is not modelled has the effects that are safe to
// assume: it may do anything, and tracking is Unknown unless its name is known to be harmless.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ruleset/expr_list.h"
#include "ruleset/table_index.h"

namespace rolewall::ruleset {

// `bytes` from the register `first` on. They need not fit in: verify() asks.
struct RegisterRange {
  Register first = 0;
  std::uint32_t bytes = 0;
  bool operator==(const RegisterRange&) const = default;
};

// What one expression reads: at most the four of a translation.
class RegisterRanges {
 public:
  void add(RegisterRange range) { ranges_[count_++] = range; }
  const RegisterRange* begin() const { return ranges_.data(); }
  const RegisterRange* end() const { return ranges_.data() + count_; }

 private:
  std::array<RegisterRange, 4> ranges_{};
  std::uint8_t count_ = 0;
};

// How an expression ends its rule. That the kernel may drop where it has no memory, no free port or
// no tuple (nf_nat_setup_info(), nft_connlimit_do_eval()) is not counted.
enum class Ending : std::uint8_t {
  None,         // the next expression is run, or the rule breaks
  Verdict,      // its own verdict
  SetVerdict,   // the verdict of the element that is found
  Drop,         // reject; a SYN proxy, which may also answer in the server's stead or go on
  Accept,       // a translation
  OtherDevice,  // fwd: no further chain sees the packet
  Unknown,
};

// What an expression remembers from one packet to the next.
enum class Memory : std::uint8_t {
  Nothing,
  Count,        // counters, and when a packet was last seen: no packet's way hangs on them
  Tokens,       // limit
  Bytes,        // quota
  Connections,  // ct count
  Number,       // numgen inc
  Elements,     // whatever the elements of its set hold; dynset: the elements themselves
  Flow,         // it is kept with the connection
  Unknown,
};
Memory memory_of(const StatefulExpr& expr);

// Whether something is at work. Unknown: an expression that is not modelled might switch it on.
// In this order, so that the greater of two holds for both together.
enum class ConntrackUse : std::uint8_t { Off, Unknown, On };

// What is switched on by being in the ruleset, whether a packet comes to it or not: connection
// tracking (nf_ct_netns_get()) for each protocol, and reassembly without it
// (nf_defrag_ipv4_enable()). Tracking always reassembles.
struct TrackingUse {
  ConntrackUse ipv4 = ConntrackUse::Off;
  ConntrackUse ipv6 = ConntrackUse::Off;
  ConntrackUse reassembly_ipv4 = ConntrackUse::Off;
  ConntrackUse reassembly_ipv6 = ConntrackUse::Off;

  TrackingUse& operator|=(const TrackingUse& other);
  bool operator==(const TrackingUse&) const = default;
};

struct Effects {
  RegisterRanges reads;
  std::optional<RegisterRange> writes;
  bool may_break = false;
  Ending ending = Ending::None;
  bool may_go_on = true;  // to the next expression: false where the rule always ends or breaks here
  Memory memory = Memory::Nothing;
  bool writes_packet = false;
  std::optional<NatKind> translates;
  bool untracks = false;
  TrackingUse tracking;

  // What it names, as it stands in the expression; null where it names none.
  const std::string* set = nullptr;
  const std::string* chain = nullptr;
  const ObjectRef* object = nullptr;
};

// `table`: the one that the expression stands in, or would. Of what it names and the table does not
// hold, nothing is known: no key is read, no value written.
Effects effects_of(const Expr& expr, const TableIndex& table);

// Whether chains of other tables may see what it does: to the packet, its mark, its connection or
// its way. That it drops or accepts the packet is not meant, nor what its own table keeps, nor what
// becomes of a copy (dup). What is not known may do anything.
bool is_seen_elsewhere(const Expr& expr, const TableIndex& table);

// By all that the table holds: rules, objects, sets and elements.
TrackingUse tracking_of(const TableIndex& table);

// Whether a rule of its may translate addresses or ports: what is not modelled may, where the table
// has a chain for it.
bool may_translate(const TableIndex& table);

// To which a connection's packets go past all chains, once it has been handed over.
bool hands_to_flowtable(const Expr& expr);
bool hands_to_flowtable(const Ruleset& ruleset);

// What anything of this kind switches on in a table of this family.
TrackingUse tracking_in(Family family, ConntrackUse use);

}  // namespace rolewall::ruleset
