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
#include <map>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/places.h"
#include "ruleset/table_index.h"

namespace rolewall::analyze {

class Edit {
 public:
  struct Side {
    const ruleset::Ruleset& ruleset;
    const ruleset::Host& host;
    const Places::Numbers& numbers;
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
    std::uint8_t hooks = 0;  // by whose base chains they are reached, on either side
  };
  struct Writes {
    bool anything = false;
    bool addresses = false;  // and ports
    bool type = false;
    bool marks = false;
  };

  void find_parts();
  void add_parts(std::size_t table, std::size_t chain, std::size_t other_table, std::size_t other,
                 bool has_before, bool has_after);
  bool looks_elsewhere(const RulePlace& before, const RulePlace& after);
  bool same_contents(std::uint32_t table, std::uint32_t other, const std::string& set);

  Side before_;
  Side after_;
  Shared& shared_;
  std::vector<ruleset::TableIndex> before_tables_;
  std::vector<ruleset::TableIndex> after_tables_;
  bool is_whole_ = false;
  Writes writes_;
  std::vector<Part> parts_;
  std::map<std::pair<std::uint32_t, std::string>, bool> same_contents_;
};

}  // namespace rolewall::analyze
