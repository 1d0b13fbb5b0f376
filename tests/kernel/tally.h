// Which expressions the packets ran: of each rule that was tried, those up to where it broke.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "eval/eval.h"
#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

class Tally {
 public:
  void add(const ruleset::Ruleset& ruleset, const eval::Journey& journey);
  std::string in_words() const;  // "cmp 12, meta 3"

 private:
  std::map<std::string, std::uint64_t> packets_;  // by expression
};

}  // namespace rolewall::kernel_judge
