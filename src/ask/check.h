// What "checked" means: all that can be known of a site on any machine, without its hosts. Lint,
// the policies' own tests, and the compilation of every host.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "ask/test_report.h"
#include "base/diagnostic.h"
#include "base/error.h"
#include "policy/policy.h"

namespace rolewall::ask {

// What one host's ruleset comes to.
struct HostSize {
  std::string host;
  std::size_t rules = 0;
  std::size_t sets = 0;
  std::size_t elements = 0;
};

struct Checked {
  Diagnostics findings;         // of reading the policies, of lint, of the tests' words; sorted
  TestReport tests;             // empty where the policies have errors: then none was run
  std::vector<HostSize> hosts;  // in the site's order
  bool passed() const { return !findings.has_errors() && tests.passed(); }
};

enum class Extent {
  Everything,
  WithoutSizes,  // for who does not want Checked::hosts: hosts that are alike are asked once
  TestsAlone,    // before an apply, which tells what bears on it and compiles its own host
};

// `findings`: what reading the policies gave. Where there are errors among them nothing else is
// done, for nothing that it said would be true. Fails where `answerer` does.
Result<Checked> check(const policy::Policy& policy, policy::Date date, Diagnostics findings,
                      Extent extent, const Answerer& answerer = evaluator);

}  // namespace rolewall::ask
