#include "eval/stage_walk.h"

namespace rolewall::eval {

const Stage* StageWalk::next(Frame& frame, bool for_later, HookResult& result) {
  if (at_ == stages_.entries.size()) return nullptr;
  if (const ruleset::UnknownOrder* unknown = stages_.at(at_)) {
    if ((unknown->matters_now || for_later) && !choose(*unknown, frame, result)) return nullptr;
  }
  return &now()[at_++];
}

bool StageWalk::choose(const ruleset::UnknownOrder& unknown, Frame& frame, HookResult& result) {
  std::size_t asked = 0;
  const Stage* chain = nullptr;  // in whose name it is chosen
  for (std::size_t i = 0; i < unknown.orders.front().size(); ++i) {
    const Stage& stage = stages_.entries[unknown.first + i];
    if (!is_asked_(stage)) continue;
    ++asked;
    if (stage.kind == Stage::Kind::Chain) chain = &stage;
  }
  if (asked < 2 || chain == nullptr) return true;
  if (!unknown.complete) {
    result.fate = Fate::Undecided;
    result.decided = false;
    result.reason = unknown.about + ", which is not known";
    lost_ = true;
    return false;
  }
  const auto [taken, is_new] = taken_.emplace(&unknown, 0);
  if (is_new) {
    taken->second = frame.choices->choose(unknown.orders.size(),
                                          {.table = chain->table, .chain = chain->chain});
  }
  const std::size_t order = taken->second;
  frame.conditions.push_back({.about = unknown.about, .is = unknown.answer[order]});
  chosen_ = stages_.in_order(now(), unknown, order);
  return true;
}

}  // namespace rolewall::eval
