// A packet that was traced, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "ask/answer.h"
#include "cli/dry_run_check.h"
#include "cli/json.h"
#include "cli/terminal.h"
#include "ruleset/snapshot.h"
#include "sandbox/observation.h"

namespace rolewall::cli {

struct TracedAnswer {
  std::string packet;          // in words
  std::vector<ask::Hop> hops;  // as answers of `eval` have them, with the rules that matched
  std::vector<std::string> translations;
  std::vector<std::string> drop_reasons;  // the kernel's of about that moment, if it is dropped
  std::string problem;                    // why it is not known what the kernel did; ""
  DryRun dry_run;
};

std::vector<ask::Hop> hops_of(const sandbox::Observation& seen, const ruleset::Snapshot& snapshot);

// Whether nothing more was told of it, and a rule may have taken the trace's bit away (`meta
// nftrace set 0`), which tells nothing of itself: what became of the packet is not known then.
bool loses_mark(const sandbox::Observation& seen, const ruleset::Ruleset& ruleset);

void render(const Terminal& terminal, const TracedAnswer& answer);
Json to_json(const TracedAnswer& answer);

}  // namespace rolewall::cli
