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

inline HookResult stopped_by_stack(ruleset::Hook hook, std::string reason) {
  HookResult result;
  result.hook = hook;
  stop(result, std::move(reason));
  return result;
}

}  // namespace rolewall::eval
