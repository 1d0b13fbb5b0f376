// One sample's way through the kernel and back: loaded by its own program, read by us, written by
// us into another namespace, read again.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "ruleset/ruleset.h"
#include "samples.h"

namespace rolewall::corpus {

struct Findings {
  std::size_t rules = 0;
  std::size_t elements = 0;
  // Why rules would be undecided: what the reader did not know, and what the evaluator refuses
  // whatever the packet is. A rule counts once, by what it would stumble over first.
  std::map<std::string, std::size_t> unread;
  std::map<std::string, std::size_t> refused;
  std::size_t bytecode_compared = 0;  // rules
  std::vector<std::string> losses;    // what is not the same afterwards; empty: nothing
};

// An error where the sample's program refuses it, with what it said. REQUIRES: we may make
// network namespaces; leaves us in another.
Result<Findings> make_trip(const Sample& sample);

}  // namespace rolewall::corpus
