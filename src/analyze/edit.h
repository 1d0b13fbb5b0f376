// The packets that meet what two rulesets have differently. A packet's fate is the same by both
// where, on its whole way, only rules act on it that both have in the same place: by the first
// rule that acts and that one side alone has, or has elsewhere, or that looks into a set of other
// elements, the two ways part, and not before. So nothing but these packets need be compared, which
// of a long list with one edit are few.
//
// It is a bound from above: what has become of a packet by the time that it comes to the rule is
// taken for whatever it may be. Where more than rules and elements differs (a base chain's policy
// or priority, the host, whether connections are tracked), it is every packet.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/places.h"
#include "analyze/ruleset_facts.h"

namespace rolewall::analyze {

class Edit {
 public:
  struct Side {
    const ruleset::Ruleset& ruleset;
    const ruleset::Host& host;
    const Places::Numbers& numbers;
    std::shared_ptr<const RulesetFacts> facts;
  };
  // Refers to all of them.
  Edit(const Side& before, const Side& after, Shared& shared);

  // Without choices, within `domain`. May end the budget.
  Diagram packets(Diagrams& diagrams, PacketSpace& space, Direction direction, Diagram domain);

 private:
  // Rules of one chain that stand between the same neighbours.
  struct Part {
    std::vector<RulePlace> before;
    std::vector<RulePlace> after;
    bool is_lookup = false;   // the same rule, of sets that differ
    bool is_pair = false;     // the packets that both act on alike are not meant
    std::uint32_t table = 0;  // of the first side
    std::uint32_t chain = 0;
    std::uint8_t hooks = 0;  // by whose base chains they are reached, on either side
  };
  struct Writes {
    bool anything = false;
    bool addresses = false;  // and ports
    bool type = false;
    bool marks = false;
  };

  Environment environment(PacketSpace& space, Environment now, Direction direction,
                          ruleset::Hook hook, Tracked tracked) const;
  void find_writes(const Side& side);
  void note_writes(const ruleset::Expr& expr, const ruleset::TableIndex& table);
  void find_parts();
  void add_parts(std::size_t table, std::size_t chain, std::size_t other_table, std::size_t other);
  // What a packet may be by the time that it comes to a rule; of one that asks conntrack, for each
  // thing that conntrack may have said.
  using Began = std::function<std::vector<Environment>(ruleset::Hook, bool asks_connections)>;
  Diagram reached(Machine& machine, std::uint32_t table, std::uint32_t chain, ruleset::Hook hook,
                  const Began& began);
  static Diagram packets_of(Machine& machine, Diagram set);
  struct Contents {
    bool same = true;
    bool in_order = false;          // the first that fits counts
    std::vector<bool> both_before;  // by element, whether the other side has it, too
    std::vector<bool> both_after;
  };
  void add_lookup(const RulePlace& before, const RulePlace& after);
  const Contents& contents(std::uint32_t table, std::uint32_t other, const std::string& set);

  Side before_;
  Side after_;
  Shared& shared_;
  bool is_whole_ = false;
  Writes writes_;
  std::vector<Part> parts_;
  std::vector<std::vector<std::vector<RulePlace>>> callers_;  // by table and chain
  std::map<std::tuple<std::uint32_t, std::uint32_t, ruleset::Hook, Diagram>, Diagram> reached_;
  std::map<std::pair<const ruleset::Set*, const ruleset::Set*>, Contents> contents_;
};

// Whether a rule that one side alone has asks for what only fragments have, which are none of the
// space's packets.
bool edit_asks_fragments(const ruleset::Ruleset& ruleset, const Places::Numbers& numbers,
                         const Places& places);

}  // namespace rolewall::analyze
