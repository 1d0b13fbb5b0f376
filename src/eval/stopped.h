// The IP stack takes a packet away, before a hook or in the middle of one.
#pragma once

#include <string>
#include <utility>

#include "eval/eval.h"

namespace rolewall::eval {

// In the middle: what earlier chains have said does not count.
inline void stop(HookResult& result, std::string reason) {
  result.fate = Fate::Stack;
  result.decided = false;
  result.reason = std::move(reason);
}

// A hook that the packet does not come to, and why.
inline HookResult stopped_by_stack(ruleset::Hook hook, std::string reason) {
  HookResult result;
  result.hook = hook;
  stop(result, std::move(reason));
  return result;
}

// The same of one that it may come to, by what the evaluator does not know.
inline HookResult not_modelled(ruleset::Hook hook, std::string reason) {
  HookResult result = stopped_by_stack(hook, std::move(reason));
  result.fate = Fate::Undecided;
  return result;
}

}  // namespace rolewall::eval
