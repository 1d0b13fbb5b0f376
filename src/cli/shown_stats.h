// What `rolewall stats` has read, for whoever shows it: text, JSON, Prometheus.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "apply/applied.h"
#include "apply/known_names.h"
#include "observe/service_traffic.h"
#include "observe/source_counts.h"
#include "observe/stats.h"
#include "observe/written_policy.h"

namespace rolewall::cli {

struct ShownStats {
  observe::Look now;
  std::optional<observe::Look> before;  // absent: no rates
  std::vector<std::uint64_t> gains;     // of now.rules since then; empty without it
  std::optional<apply::Applied> applied;
  std::string no_record;    // why nothing is known of what was applied; "": it is
  apply::KnownNames names;  // of a policy that is refreshed; else none
  std::string no_flows;     // why connections were not read; "": they were
  std::optional<observe::KeptSourceCounts> sources;  // absent: nobody counts them
  const observe::WrittenPolicy* policy = nullptr;
  const observe::ServiceCounts* services = nullptr;  // of `now`, and since `before`
  bool has_totals = false;  // of services: somebody has counted for a while, and goes on

  std::chrono::duration<double> interval() const {
    return before ? now.at - before->at : std::chrono::duration<double>(0);
  }
  // Of a count; 0 without an earlier look.
  double per_second(std::uint64_t gained) const {
    return before && interval().count() > 0 ? static_cast<double>(gained) / interval().count() : 0;
  }
  // REQUIRES: one of now.rules.
  std::uint64_t gained(const observe::RuleCount& count) const {
    const auto at = static_cast<std::size_t>(&count - now.rules.data());
    return at < gains.size() ? gains[at] : 0;
  }
};

// A rule's place in the policy: "web.toml:6"; of a step the defaults'; "" where it is not recorded.
std::string policy_line_of(const observe::WrittenPolicy& policy, const std::string& name);

// The new connections that the rules of a service have let in or out.
struct NewConnections {
  std::uint64_t all = 0;
  std::uint64_t gained = 0;
};
NewConnections new_connections(const ShownStats& stats, const observe::ServiceTraffic& service);
// Of a rule's own count, without what was over its limits. REQUIRES: one of now.rules.
NewConnections within_limit(const ShownStats& stats, const observe::RuleCount& rule);

enum class StatsOrder { Rate, Count, Name };

// At most 80 columns wide.
std::string stats_text(const ShownStats& stats, StatsOrder order, bool all);
std::string stats_json(const ShownStats& stats);  // one object on one line
// For node exporter's textfile collector (prometheus.cc).
std::string stats_metrics(const ShownStats& stats);

}  // namespace rolewall::cli
