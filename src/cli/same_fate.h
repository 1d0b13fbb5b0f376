// Whether the evaluator's word for a packet at a hook is what the kernel did there. Undecided
// agrees with nothing.
#pragma once

#include "eval/eval.h"
#include "sandbox/observation.h"

namespace rolewall::cli {

static_assert(sandbox::Step::kEnd == eval::Decision::kPolicy);

inline bool same_fate(eval::Fate evaluated, sandbox::Fate seen) {
  switch (evaluated) {
    case eval::Fate::Accept:
      return seen == sandbox::Fate::Accept;
    case eval::Fate::Drop:
      return seen == sandbox::Fate::Drop;
    case eval::Fate::Reject:
      return seen == sandbox::Fate::Reject;
    case eval::Fate::Stack:
      return seen == sandbox::Fate::Stack || seen == sandbox::Fate::Stolen;
    case eval::Fate::Held:  // by the stack, without a word
      return seen == sandbox::Fate::Stack;
    case eval::Fate::Undecided:
      return false;
  }
  return false;
}

}  // namespace rolewall::cli
