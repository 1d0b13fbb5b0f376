// In which order runs what stands on one hook: by priority; at one priority what was registered
// last runs first (nf_hook_entries_grow() of net/netfilter/core.c), the kernel's own parts among
// it: NAT registers with the first nat chain of a protocol (nf_nat_register_fn()), connection
// tracking and reassembly with the first that asks for them (nf_ct_netns_get()).
//
// A ruleset tells when chains of one table were registered, since the kernel lists them in that
// order and wakes a dormant table in it, too (nf_tables_table_enable()). Between tables it does
// not: an old table may get a new chain, or be woken. Nor does it tell when the kernel's own parts
// were registered, but for NAT behind an older nat chain of the same table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ruleset/table_index.h"

namespace rolewall::ruleset {

struct HookEntry {
  enum class Kind : std::uint8_t { Defrag, Conntrack, Nat, Chain };
  std::int32_t priority = 0;
  Kind kind = Kind::Chain;
  std::uint32_t table = 0;
  std::uint32_t chain = 0;
};

// Entries of one priority of which it is not known in which order they run, where that may matter.
struct UnknownOrder {
  // What stands from `first` on may run in any of these orders, by its numbers from there. The
  // first is the one that it stands in.
  std::size_t first = 0;
  std::vector<std::vector<std::uint32_t>> orders{};
  bool complete = true;     // false: there are more than kMost
  bool matters_now = true;  // false: for what later packets find alone
  std::string about{};      // "the order of chain inet a x and NAT, both at priority -100"
  std::vector<std::string> answer{};  // of each order: "NAT first"

  static constexpr std::size_t kMost = 120;  // of five chains
};

struct HookEntries {
  std::vector<HookEntry> entries;
  std::vector<UnknownOrder> unknown;  // by `first`

  // What begins at the entry; null: nothing.
  const UnknownOrder* at(std::size_t entry) const;
  // `now`, the entries, with one of the orders of what is not known.
  std::vector<HookEntry> in_order(std::vector<HookEntry> now, const UnknownOrder& unknown,
                                  std::size_t order) const;
};

class HookOrder {
 public:
  // Those of the ruleset, in its order. Refers to them.
  explicit HookOrder(std::vector<const TableIndex*> tables) : tables_(std::move(tables)) {}

  // Of one hook, each once, chains as the ruleset lists them.
  HookEntries of(std::vector<HookEntry> entries);

 private:
  // What a base chain may do, with all that it may jump to.
  struct Deeds {
    bool asks = false;       // it has rules
    bool acts = false;       // is_seen_elsewhere()
    bool remembers = false;  // in its own table
    bool tracks = false;     // it asks for connections
    bool drops = false;
    bool rejects = false;
    bool denies() const { return drops || rejects; }
  };
  enum class Matters : std::uint8_t { No, Later, Now };

  Deeds deeds_of(const HookEntry& entry);
  static void add(const Expr& expr, const TableIndex& in, Deeds& deeds,
                  std::vector<const Chain*>& next);
  Matters matters(const HookEntry& a, const HookEntry& b);
  // Whether `a` was registered after `b`; std::nullopt: not known.
  std::optional<bool> is_newer(const HookEntry& a, const HookEntry& b) const;
  void arrange(HookEntries& all, std::size_t first, std::size_t end);
  std::string name_of(const HookEntry& entry) const;

  std::vector<const TableIndex*> tables_;
  std::unordered_map<const Chain*, Deeds> known_;
};

}  // namespace rolewall::ruleset
