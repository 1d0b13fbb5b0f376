// What is asked of a whole ruleset by everyone who works on it: found in one walk over its rules,
// however many machines then run it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ruleset/host.h"
#include "ruleset/ruleset.h"
#include "ruleset/table_index.h"
#include "ruleset/tracking.h"
#include "ruleset/xt.h"

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
  // Whether a rule may add to the host's set of ip_set of this name, or take from it.
  bool may_change_ipset(const ruleset::Host& host, std::string_view name) const;
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
  void note_ipsets(const ruleset::XtTarget& target);
  std::set<std::uint16_t> changed_ipsets_;  // by number
  bool may_change_any_ipset_ = false;
  bool translates_ipv4_ = false;
  bool translates_ipv6_ = false;
  bool offloads_ = false;
};

// The place of the table of the same family and name, or their number.
std::size_t same_table(const ruleset::TableIndex& table,
                       std::span<const ruleset::TableIndex> among);

}  // namespace rolewall::analyze
