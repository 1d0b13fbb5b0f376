// How a table in the kernel becomes another with nothing else touched: what goes, then what comes.
// Rules and objects that are not named here keep their handles and what they have counted, sets
// their elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

struct TableChange {
  struct RuleRemoval {
    std::string chain;
    std::uint64_t handle = 0;
  };
  struct ObjectRemoval {
    std::uint32_t type = 0;  // NFT_OBJECT_*
    std::string name;
  };
  // Of the wanted table's set number `set`, which stays: these and no other elements.
  struct Elements {
    std::size_t set = 0;
    ruleset::Elements elements;
  };
  struct RuleAddition {
    std::size_t chain = 0;  // numbers in the wanted table
    std::size_t rule = 0;
    std::uint64_t before = 0;  // the handle of a rule that stays; 0: at the chain's end
  };

  // By the names and handles of the table that is there. A chain or set goes after the rules and
  // elements that name it.
  std::vector<RuleRemoval> removed_rules;
  std::vector<Elements> removed_elements;
  std::vector<std::string> removed_sets;
  std::vector<std::string> removed_chains;
  std::vector<ObjectRemoval> removed_objects;

  // Numbers in the wanted table. Sets come with all their elements. What was removed above may
  // come again under its name.
  std::vector<std::size_t> added_objects;
  std::vector<std::size_t> added_sets;
  std::vector<std::size_t> added_chains;
  std::vector<std::size_t> new_policies;  // of chains that stay
  std::vector<Elements> added_elements;
  std::vector<RuleAddition> added_rules;  // each chain's in their order

  bool empty() const {
    return removed_rules.empty() && removed_elements.empty() && removed_sets.empty() &&
           removed_chains.empty() && removed_objects.empty() && added_objects.empty() &&
           added_sets.empty() && added_chains.empty() && new_policies.empty() &&
           added_elements.empty() && added_rules.empty();
  }
};

}  // namespace rolewall::ruleset
