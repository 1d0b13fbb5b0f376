// What `rolewall stats` shows: one look at all that our table and connection tracking count, in the
// words of what was applied.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "observe/conntrack_use.h"
#include "observe/rule_counts.h"
#include "observe/service_traffic.h"
#include "observe/written_policy.h"

namespace rolewall::observe {

struct Look {
  std::chrono::steady_clock::time_point at;
  bool has_table = false;
  std::uint64_t table_handle = 0;  // another one: the table was made anew, and its counters with it
  bool audits = false;
  std::vector<RuleCount> rules;
  std::vector<SetFill> sets;
  ConntrackUse conntrack;
};

// Of the calling thread's network namespace.
Result<Look> look_at_table();

// How much more each of `now.rules` counts than at the earlier look; what was not there then, or
// has begun anew, counts from 0.
std::vector<std::uint64_t> gains(const Look& now, const Look& earlier);

}  // namespace rolewall::observe
