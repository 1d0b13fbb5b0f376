// The fewest members that lists have in common: at least one of each list.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace rolewall::analyze {

class FewestMembers {
 public:
  using List = std::vector<std::size_t>;

  // It may try so many members, in all that it is asked.
  explicit FewestMembers(std::size_t steps) : steps_(steps) {}

  // Sorted; of several such, those that come first in their lists. Absent: there are none so few,
  // or the steps ended.
  std::optional<List> find(const std::vector<List>& lists, std::size_t most);
  bool ended() const { return steps_ == 0; }

 private:
  bool add(const std::vector<List>& lists, std::size_t more);

  std::size_t steps_;
  List chosen_;
};

}  // namespace rolewall::analyze
