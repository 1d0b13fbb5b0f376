#include "analyze/fewest_members.h"

#include <algorithm>

namespace rolewall::analyze {

std::optional<FewestMembers::List> FewestMembers::find(const std::vector<List>& lists,
                                                       std::size_t most) {
  for (std::size_t count = 0; count <= most && !ended(); ++count) {
    chosen_.clear();
    if (add(lists, count)) {
      std::ranges::sort(chosen_);
      return chosen_;
    }
  }
  return std::nullopt;
}

// One of the list with the fewest members that has none yet must be taken: each is tried.
bool FewestMembers::add(const std::vector<List>& lists, std::size_t more) {
  const List* open = nullptr;
  for (const List& list : lists) {
    const bool is_met = std::ranges::any_of(
        list, [&](std::size_t each) { return std::ranges::find(chosen_, each) != chosen_.end(); });
    if (!is_met && (open == nullptr || list.size() < open->size())) open = &list;
  }
  if (open == nullptr) return true;
  if (more == 0) return false;
  for (const std::size_t each : *open) {
    if (steps_ == 0) return false;
    --steps_;
    chosen_.push_back(each);
    if (add(lists, more - 1)) return true;
    chosen_.pop_back();
  }
  return false;
}

}  // namespace rolewall::analyze
