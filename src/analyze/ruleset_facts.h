// What is asked of a whole ruleset by everyone who works on it: found in one walk over its rules,
// however many machines then run it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "ruleset/ruleset.h"
#include "ruleset/table_index.h"
#include "ruleset/tracking.h"

namespace rolewall::analyze {

class RulesetFacts {
 public:
  // Refers to it.
  explicit RulesetFacts(const ruleset::Ruleset& ruleset);

  const std::vector<ruleset::TableIndex>& tables() const { return tables_; }
  // Whether rules add to the set: what it holds is then not known.
  bool is_filled_by_packets(std::uint32_t table, std::string_view set) const {
    return filled_.contains({table, set});
  }
  const std::set<std::pair<std::uint32_t, std::string_view>>& filled_sets() const {
    return filled_;
  }
  const ruleset::TrackingUse& tracking() const { return tracking_; }
  // Whether a rule that packets of this family meet may translate.
  bool may_translate(bool ipv6) const { return ipv6 ? translates_ipv6_ : translates_ipv4_; }
  // Whether a rule hands connections to a flowtable, which takes their packets past all chains.
  bool offloads() const { return offloads_; }
  // Whether a rule may take out of the set what is in it.
  bool may_lose(std::uint32_t table, std::string_view set) const {
    return emptied_.contains({table, set});
  }
  // Whether several rules add to it, and what one counts in an element the others may meet.
  bool is_counted_by_several(std::uint32_t table, const ruleset::Set& set) const {
    const auto at = adders_.find({table, set.name});
    return at != adders_.end() && at->second.rules > 1 && (at->second.count || !set.exprs.empty());
  }

 private:
  std::vector<ruleset::TableIndex> tables_;
  std::set<std::pair<std::uint32_t, std::string_view>> filled_;   // by table
  std::set<std::pair<std::uint32_t, std::string_view>> emptied_;  // likewise
  struct Adders {
    unsigned rules = 0;
    bool count = false;  // by expressions of a rule's own
  };
  std::map<std::pair<std::uint32_t, std::string_view>, Adders> adders_;  // likewise
  ruleset::TrackingUse tracking_;
  bool translates_ipv4_ = false;
  bool translates_ipv6_ = false;
  bool offloads_ = false;
};

}  // namespace rolewall::analyze
