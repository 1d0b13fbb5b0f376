#include "eval/eval.h"

namespace rolewall::eval {

std::string_view name_of(Fate fate) {
  switch (fate) {
    case Fate::Accept:
      return "accept";
    case Fate::Drop:
      return "drop";
    case Fate::Reject:
      return "reject";
    case Fate::Stack:
      return "stack";
    case Fate::Held:
      return "held";
    case Fate::Undecided:
      return "undecided";
  }
  return "";
}

}  // namespace rolewall::eval
