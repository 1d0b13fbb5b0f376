// The policies' tests, run and counted: for check, test and apply alike.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "ask/site.h"
#include "ask/tests.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// One sample that went otherwise than its test expects.
struct TestFailure {
  std::size_t test_case = 0;  // index into TestReport::cases
  ask::Answer answer;
  std::string wrong;  // "is accepted"
};

struct TestReport {
  std::vector<ask::TestCase> cases;
  std::vector<TestFailure> failures;
  std::size_t tests = 0;         // [[test]] tables
  std::size_t failed_tests = 0;  // of them
  std::size_t packets = 0;       // lines of words
  std::size_t samples = 0;       // packets asked
};

// Answers a sample of a test: the evaluator, or the kernel.
using Asker = std::function<ask::Answer(const ask::TestCase&, std::size_t sample)>;

// What is wrong in the tests' words goes to `findings`.
TestReport run_tests(const policy::Policy& policy, ask::Site& site, Diagnostics& findings);
TestReport run_tests(const policy::Policy& policy, const Asker& asker, Diagnostics& findings);

// The failures, each at its line, with the packet and the line that decides.
void render(const Terminal& terminal, const policy::Policy& policy, const TestReport& report);

// "14 tests, 63 packets, 1,089 samples: all as expected".
std::string summary(const TestReport& report);

Json to_json(const policy::Policy& policy, const TestReport& report);

}  // namespace rolewall::cli
