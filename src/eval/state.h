// What limits, quotas, connection counts and dynamic sets remember: net/netfilter/nft_limit.c,
// nft_quota.c, nft_connlimit.c, nft_dynset.c. It begins as the ruleset says it begins ("nothing
// spent") and is kept apart from it.
//
// Every stateful expression owns a cell. Cells of the ruleset's own expressions are numbered when
// it is prepared; elements that packets add get theirs as they come. forget() is cheap: it raises
// the epoch, and a cell of an older epoch counts as new.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/conntrack.h"
#include "eval/undo.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

using CellIndex = std::uint32_t;

// The kernel's clock at a packet lies from now_ns to now_ns + error_ns.
struct Clock {
  std::uint64_t now_ns = 0;
  std::uint64_t error_ns = 0;
};

// struct nf_conncount_list: the connections that a `ct count` has counted, the oldest first.
struct CountedFlow {
  Tuple flow;
  std::uint16_t zone = 0;
  std::uint64_t added_ns = 0;  // when it was counted
  bool operator==(const CountedFlow&) const = default;
  bool is_of(const CountedFlow& other) const { return flow == other.flow && zone == other.zone; }
};
struct ConnectionCount {
  std::vector<CountedFlow> open;
  std::optional<std::uint64_t> looked_ns;  // when it was last looked which have ended
  bool operator==(const ConnectionCount&) const = default;
};

// An element that a packet added, or took away.
struct DynamicElement {
  bool deleted = false;
  CellIndex first_cell = 0;
  const std::vector<ruleset::StatefulExpr>* exprs = nullptr;
  std::uint64_t expires_ns = 0;  // 0: never
  ruleset::Bytes data;
  bool operator==(const DynamicElement&) const = default;
};

class State {
 public:
  // Cells for the ruleset's own expressions; all of these before the first packet.
  CellIndex reserve(std::size_t count);

  void forget();

  // When the first packet since forget() came: what the ruleset says is left of an element's time
  // is left then.
  void begin(std::uint64_t now_ns) {
    if (began_ns_) return;
    note([this] { began_ns_.reset(); });
    began_ns_ = now_ns;
  }
  std::uint64_t began_ns() const { return began_ns_.value_or(0); }

  // Whether there are tokens for the packet; std::nullopt where the clock's error decides.
  // spend_limit() then says what came of it.
  std::optional<bool> is_within_limit(const ruleset::Limit& limit, CellIndex cell,
                                      std::uint32_t packet_size, Clock clock);
  void spend_limit(const ruleset::Limit& limit, CellIndex cell, std::uint32_t packet_size,
                   Clock clock, bool within);

  // Whether the expression lets the packet on.
  bool quota(const ruleset::Quota& quota, CellIndex cell, std::uint32_t packet_size);
  ConnectionCount& connections(CellIndex cell);

  // nft_ng_inc_gen(): 0, 1, up to the modulus, and again. REQUIRES: a modulus.
  std::uint32_t next_number(CellIndex cell, std::uint32_t modulus) {
    return next_number(cell, modulus, modulus - 1);
  }
  // The same where `before` was the last.
  std::uint32_t next_number(CellIndex cell, std::uint32_t modulus, std::uint32_t before);

  // quota_mt() of xt_quota.c: whether the packet still has room, of which it takes its size; where
  // it has none, no later one has.
  bool take_of_quota(CellIndex cell, std::uint64_t bytes, std::uint32_t packet_size);

  // How often something was noted in a list that rules share by its name; which may be changed.
  // Valid until another is noted.
  std::uint64_t& noted(std::string_view list, std::string_view key);

  // A cell of its own for each key, of an expression that keeps a list by keys.
  CellIndex cell_of(CellIndex owner, std::string_view key);

  // What packets did to the set number `set`; null where they did nothing to this key.
  const DynamicElement* find(std::uint32_t set, std::string_view key);
  // REQUIRES: not found, deleted or ended; added() has been asked at this moment, since what ends
  // is reckoned there. `in_elements`: the ruleset has the key, too.
  const DynamicElement& add(std::uint32_t set, std::string_view key, bool in_elements,
                            const std::vector<ruleset::StatefulExpr>* exprs,
                            std::uint64_t expires_ns, ruleset::Bytes data);
  // An element of the ruleset that ends at another time now: it keeps its cells. REQUIRES: it is
  // there, and packets have done nothing to it.
  void adopt(std::uint32_t set, std::string_view key,
             const std::vector<ruleset::StatefulExpr>* exprs, CellIndex first_cell,
             std::uint64_t expires_ns, ruleset::Bytes data);
  // REQUIRES: found.
  void set_end(std::uint32_t set, std::string_view key, std::uint64_t expires_ns);
  // One of the set's elements may have ended now, and taken its room since.
  void may_linger(std::uint32_t set, std::uint64_t now_ns) { linger(dynamic_[set], now_ns); }
  // REQUIRES: the key is in the set, or in its elements.
  void remove(std::uint32_t set, std::string_view key, bool in_elements, std::uint64_t now_ns);

  // Until null is given, each change notes there what takes it back. REQUIRES: no doubt()
  // meanwhile, no forget(), and this stays where it is.
  void note_changes(Undo* undo) { undo_ = undo; }

  // --- what one packet asked for, and of what it is not certain (doubts.h) ---
  using ElementKey = std::pair<std::uint32_t, std::string>;  // the set's number, the key
  struct Bracket {
    std::int64_t least = 0;
    std::int64_t most = 0;
    bool operator==(const Bracket&) const = default;
  };
  // By how many elements the set has more than the ruleset says, at this moment: the most where
  // what has ended or was taken away counts for `lingers_ns` more. `ends_ns`: when those of the
  // ruleset end and their keys, where they do. Costs what has ended since it was last asked,
  // however large the set.
  using Ends = std::vector<std::pair<std::uint64_t, std::string>>;
  Bracket added(std::uint32_t set, std::uint64_t now_ns, std::uint64_t lingers_ns,
                const std::function<Ends()>& ends_ns);
  // A limit's, in ns. Each packet's time has an error of its own: reckoned from packet to packet
  // alone the bracket would grow for ever; `tokens` less the error, reckoned beside it, does not.
  struct Tokens {
    Bracket tokens{};
    Bracket without_error{};
    bool operator==(const Tokens&) const = default;
    // Whichever of both it is.
    void include(const Tokens& other);
    static Tokens any();
  };
  struct CellNow;
  void begin_packet();
  bool met_doubt() const { return met_doubt_; }
  // How many elements more or less the set may have.
  std::int64_t doubtful_in(std::uint32_t set) const {
    const auto found = doubtful_in_.find(set);
    return found == doubtful_in_.end() ? 0 : found->second;
  }
  void meet_doubt() { met_doubt_ = true; }
  std::map<CellIndex, CellNow> touched_cells() const;
  std::map<ElementKey, std::optional<DynamicElement>> touched_elements() const;
  // Of a limit the tokens are within these; time narrows that again.
  void doubt(CellIndex cell, const Tokens& tokens, std::uint64_t now_ns);
  // Any cell, and any element that packets may change: of a packet nothing but its end is known.
  void doubt_all() { ++doubted_; }
  bool all_is_doubtful() const { return doubted_ != 0; }
  void doubt(const ElementKey& element) {
    if (doubtful_elements_.insert(element).second) ++doubtful_in_[element.first];
  }

 private:
  struct Cell {
    std::uint64_t epoch = 0;
    std::uint64_t amount = 0;  // a quota's bytes, the last number given
    Tokens left{};
    std::uint64_t last_ns = 0;
    std::uint64_t doubted = 0;  // what doubted_ was when a limit was last reckoned
    bool operator==(const Cell&) const = default;
  };
  void touch(CellIndex cell);
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>{}(key);
    }
  };
  struct Entry {
    DynamicElement element;
    std::uint64_t queued_ns = 0;  // the end by which it is in the queue; 0: it is not there
    bool hides_element = false;   // the ruleset has the key, too, and it was taken away or ended
  };
  using Queued = std::pair<std::uint64_t, std::string>;  // when, which key
  struct DynamicSet {
    std::unordered_map<std::string, Entry, KeyHash, std::equal_to<>> entries;
    // Each end as it was when it was queued: one that was put off since is queued again when its
    // turn comes, so that to put it off costs nothing.
    std::set<Queued> ends;
    std::optional<Ends> elements_end;     // of the ruleset, the last first
    std::int64_t present = 0;             // entries that are not deleted
    std::int64_t gone = 0;                // elements of the ruleset that were taken away or ended
    std::deque<std::uint64_t> lingering;  // when what the collector may not have seen has ended
  };
  void queue_end(DynamicSet& set, Entry& entry, std::string_view key);
  void linger(DynamicSet& set, std::uint64_t now_ns);
  void count_gone(DynamicSet& set);
  void end(DynamicSet& set, const Queued& what, std::uint64_t now_ns);
  void free_cells(const DynamicElement& element);
  CellIndex cells_for(std::size_t count);

  // For what is about to change.
  template <class Back>
  void note(Back back) {
    if (undo_ != nullptr) undo_->note(std::move(back));
  }
  Cell& change(CellIndex cell);
  void note_entry(DynamicSet& set, std::string_view key);
  void note_connections(CellIndex cell);

  std::uint64_t epoch_ = 1;
  std::optional<std::uint64_t> began_ns_;
  std::vector<Cell> cells_;
  std::size_t reserved_ = 0;
  std::map<std::pair<CellIndex, std::string>, CellIndex, std::less<>> keyed_cells_;
  std::unordered_map<std::uint32_t, DynamicSet> dynamic_;
  std::unordered_map<CellIndex, ConnectionCount> connections_;
  std::vector<CellIndex> touched_cells_;
  std::vector<ElementKey> touched_elements_;
  std::set<CellIndex> doubtful_cells_;  // not limits', whose tokens are a bracket
  std::set<ElementKey> doubtful_elements_;
  std::unordered_map<std::uint32_t, std::int64_t> doubtful_in_;         // how many of these, by set
  std::unordered_map<std::size_t, std::vector<CellIndex>> free_cells_;  // in rows of so many
  Undo* undo_ = nullptr;
  bool met_doubt_ = false;
  std::uint64_t doubted_ = 0;  // how often doubt_all() was said
};

struct State::CellNow {
  Cell cell;
  ConnectionCount connections;
  bool operator==(const CellNow&) const = default;
};

}  // namespace rolewall::eval
