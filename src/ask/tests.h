// The policies' own tests: which packets each [[test]] asks about, of which hosts, and whether an
// answer is the expected one. Who answers is the caller's choice: the evaluator (site.h), or the
// kernel in a namespace.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ask/answer.h"
#include "ask/sample.h"
#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::ask {

// One packet of a test, asked of one host (a role's or a block's test, once for each host that uses
// the file) or of both ends (site.toml's).
struct TestCase {
  const policy::Test* test = nullptr;
  const policy::TestPacket* packet = nullptr;
  std::optional<policy::Index> host;
  // All of them, or the first alone of what may be proven without them: then there are `of`.
  std::vector<Sample> samples;
  std::size_t of = 0;
};

// Every test of the site, in the order of the files: roles and blocks, then site.toml. A packet
// that names no sample on any host is an error (`no-sample`), but in a shipped block. Where a role
// skips a rule of a block, the block's tests do not run there: a note says so. REQUIRES: the policy
// was loaded without errors; pointers are into it.
// `first_of_denials`: of what is denied one sample each is enough for now; take_all() has the rest.
std::vector<TestCase> plan_tests(const policy::Policy& policy, Diagnostics& diagnostics,
                                 bool first_of_denials = false);
void take_all(const policy::Policy& policy, TestCase& test_case);

// The hosts that a file's tests and laws are asked of: those that use it, but for a block's the
// hosts of a role that skips one of its rules.
std::vector<policy::Index> hosts_asked(const policy::Policy& policy, const policy::RuleFile& file);

// "" where the answer is what the test expects, else what is wrong with it: "is accepted", "is
// decided by (default), not by web.inbound.app".
std::string judge(const TestCase& test_case, const Answer& answer);

std::string_view name_of(policy::Expectation expectation);

}  // namespace rolewall::ask
