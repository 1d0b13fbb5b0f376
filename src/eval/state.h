// What limits, quotas, connection counts and dynamic sets remember: net/netfilter/nft_limit.c,
// nft_quota.c, nft_connlimit.c, nft_dynset.c. It begins as the ruleset says it begins ("nothing
// spent") and is kept apart from it.
//
// Every stateful expression owns a cell. Cells of the ruleset's own expressions are numbered when
// it is prepared; elements that packets add get theirs as they come. forget() is cheap: it raises
// the epoch, and a cell of an older epoch counts as new.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "eval/conntrack.h"
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
  bool operator==(const CountedFlow&) const = default;
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
    if (!began_ns_) began_ns_ = now_ns;
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
  ConnectionCount& connections(CellIndex cell) {
    touch(cell);
    return connections_[cell];
  }

  // nft_ng_inc_gen(): 0, 1, up to the modulus, and again. REQUIRES: a modulus.
  std::uint32_t next_number(CellIndex cell, std::uint32_t modulus);

  // What packets did to the set number `set`; null where they did nothing to this key.
  DynamicElement* find(std::uint32_t set, std::string_view key);
  // REQUIRES: not found, or deleted.
  DynamicElement& add(std::uint32_t set, std::string_view key,
                      const std::vector<ruleset::StatefulExpr>* exprs);
  // REQUIRES: the key is in the set, or in its elements.
  void remove(std::uint32_t set, std::string_view key, bool in_elements);
  // Elements that packets added to the set and that are still there, less those of the ruleset
  // that they took away.
  std::int64_t added(std::uint32_t set, std::uint64_t now_ns);

  // --- what one packet asked for, and of what it is not certain (doubts.h) ---
  using ElementKey = std::pair<std::uint32_t, std::string>;  // the set's number, the key
  struct Bracket {
    std::int64_t least = 0;
    std::int64_t most = 0;
    bool operator==(const Bracket&) const = default;
  };
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
  std::int64_t doubtful_in(std::uint32_t set) const;
  void meet_doubt() { met_doubt_ = true; }
  std::map<CellIndex, CellNow> touched_cells() const;
  std::map<ElementKey, std::optional<DynamicElement>> touched_elements() const;
  // Of a limit the tokens are within these; time narrows that again.
  void doubt(CellIndex cell, const Tokens& tokens, std::uint64_t now_ns);
  void doubt(const ElementKey& element) { doubtful_elements_.insert(element); }

 private:
  struct Cell {
    std::uint64_t epoch = 0;
    std::uint64_t amount = 0;  // a quota's bytes, the last number given
    Tokens left{};
    std::uint64_t last_ns = 0;
    bool operator==(const Cell&) const = default;
  };
  void touch(CellIndex cell);
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>{}(key);
    }
  };
  using DynamicSet = std::unordered_map<std::string, DynamicElement, KeyHash, std::equal_to<>>;

  std::uint64_t epoch_ = 1;
  std::optional<std::uint64_t> began_ns_;
  std::vector<Cell> cells_;
  std::size_t reserved_ = 0;
  std::unordered_map<std::uint32_t, DynamicSet> dynamic_;
  std::unordered_map<CellIndex, ConnectionCount> connections_;
  std::vector<CellIndex> touched_cells_;
  std::vector<ElementKey> touched_elements_;
  std::set<CellIndex> doubtful_cells_;  // not limits', whose tokens are a bracket
  std::set<ElementKey> doubtful_elements_;
  bool met_doubt_ = false;
};

struct State::CellNow {
  Cell cell;
  ConnectionCount connections;
  bool operator==(const CellNow&) const = default;
};

}  // namespace rolewall::eval
