// What a report tells of a site, gathered: plain data, of which page.h makes the page.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/check.h"
#include "ask/diff.h"
#include "ask/reach.h"
#include "base/error.h"
#include "policy/effective.h"
#include "policy/handling.h"
#include "policy/policy.h"

namespace rolewall::report {

// Hosts that are alike (ask/alike.h): shown once.
struct HostKind {
  std::vector<std::string> names;
  std::vector<const policy::Host*> hosts;
  policy::HostPolicy policy;  // of the first
  std::string ruleset;        // nft's text of the first's, or why there is none
};

struct Base {
  std::string name;
  ask::Diff diff;
};

// Of what `stats --format json` wrote. Rates are a thousand times what they are a second.
struct Counters {
  struct Service {
    std::string direction;
    std::string service;
    std::vector<std::string> rules;
    std::uint64_t opened = 0;
    std::optional<std::uint64_t> per_1000_seconds;
  };
  struct Denial {
    std::string rule;  // its full name, or a built-in step
    bool is_excess = false;
    std::string direction;
    std::string fate;
    std::uint64_t packets = 0;
    std::optional<std::uint64_t> per_1000_seconds;
  };
  std::string host;
  std::vector<Service> services;
  std::vector<Denial> denials;
};

struct Model {
  const policy::Policy& policy;
  policy::Date date;
  ask::Checked checked;
  policy::Silenced silenced;
  std::vector<ask::Reach> reach;
  std::vector<std::string> reach_left_out;  // networks, see ask::ReachAnswer
  std::string reach_not_asked;              // why; "": it was
  std::vector<HostKind> hosts;
  std::vector<std::string> auditing;  // hosts that deny nothing by their defaults
  std::optional<Base> base;
  std::optional<Counters> counters;
};

// `step` is told what is worked on, before it is. REQUIRES: the policy was loaded without errors,
// of which `findings` are.
Result<Model> gather(const policy::Policy& policy, policy::Date date, Diagnostics findings,
                     const std::function<void(std::string_view)>& step);

// The lines of the policies, read when first asked for.
class PolicyLines {
 public:
  // Without the spaces before it; "" where it cannot be read.
  std::string of(const std::string& path, std::uint32_t line);

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

}  // namespace rolewall::report
