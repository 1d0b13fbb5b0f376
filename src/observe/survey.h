// What stands around our table and bears on what it promises: other programs' chains, the kernel's
// settings, who listens, and rules whose time is up.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "observe/finding.h"
#include "observe/kernel_settings.h"
#include "observe/listening.h"
#include "observe/other_chains.h"
#include "ruleset/snapshot.h"

namespace rolewall::observe {

// The machine as it runs, gathered by whoever asks.
struct Surroundings {
  ruleset::Host machine;
  KernelSettings kernel;
  std::optional<std::set<std::string>> modules;  // nat_helpers.h
  std::vector<Listening> listening;
  std::chrono::sys_days today;
};

struct Survey {
  std::vector<OtherChain> others;
  std::vector<Finding> findings;  // warnings first
};

// `live`: every table; sets' elements need not be there. `own`: our table with its elements, null
// where it is not in the kernel: then nothing but the others' chains is looked at. `sources`: of
// what was applied.
Survey survey(const ruleset::Ruleset& live, const ruleset::Table* own,
              const ruleset::SourceMap& sources, const Surroundings& around);

// Rules that were in force on their last day, or will be within the next thirty.
std::vector<Finding> expiring(const ruleset::SourceMap& sources, std::chrono::sys_days today);

}  // namespace rolewall::observe
