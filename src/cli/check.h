// Everything that can be known of a site without a kernel: lint, tests, and the compilation of
// every host. `check` prints it; `apply` refuses where it is not clean.
#pragma once

#include <string>
#include <vector>

#include "cli/site_options.h"
#include "cli/test_report.h"

namespace rolewall::cli {

struct HostSize {
  std::string host;
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
};

struct Checked {
  Diagnostics findings;  // lint's, and the tests' words'; sorted
  TestReport tests;
  std::vector<HostSize> hosts;
  bool passed() const { return !findings.has_errors() && tests.failures.empty(); }
  int status() const;
};

// `every_host` false: only the hosts that tests ask are compiled.
Checked check(const LoadedSite& site, bool every_host);

// kDone, kNo where there are errors, kUsage where one of the policies' files cannot be read at all.
int status_of(const Diagnostics& findings);

HostSize size_of(const ruleset::Snapshot& snapshot);

// Findings and failures, as text.
void render(const Terminal& terminal, const policy::Policy& policy, const Checked& checked);

}  // namespace rolewall::cli
