// One packet's way through the stages of a hook. Where it is not known in which order they run, an
// answer is taken, and the packet has it as a condition.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "eval/eval.h"
#include "eval/frame.h"
#include "eval/hook_plan.h"

namespace rolewall::eval {

// Orders that were taken: what stands on a hook stays as it is from packet to packet.
using OrdersTaken = std::map<const ruleset::UnknownOrder*, std::size_t>;

class StageWalk {
 public:
  using IsAsked = std::function<bool(const Stage&)>;

  // `is_asked`: which stages do anything to the packet. Refers to `stages` and `taken`.
  StageWalk(const Stages& stages, OrdersTaken& taken, IsAsked is_asked)
      : stages_(stages), taken_(taken), is_asked_(std::move(is_asked)) {}

  // Null at the end, and where there are too many orders: `result` is then undecided.
  // `for_later`: what the packet leaves behind counts, too.
  const Stage* next(Frame& frame, bool for_later, HookResult& result);
  bool is_lost() const { return lost_; }

 private:
  bool choose(const ruleset::UnknownOrder& unknown, Frame& frame, HookResult& result);
  const std::vector<Stage>& now() const { return chosen_.empty() ? stages_.entries : chosen_; }

  const Stages& stages_;
  OrdersTaken& taken_;
  IsAsked is_asked_;
  std::vector<Stage> chosen_;  // empty: as they stand
  std::size_t at_ = 0;
  bool lost_ = false;
};

}  // namespace rolewall::eval
