// The policies' tests, run and counted: for check, test and apply alike.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <map>
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

// Or why it cannot be asked: "their user takes root".
using AnswerOrWhyNot = std::expected<ask::Answer, std::string>;

struct TestReport {
  std::vector<ask::TestCase> cases;
  std::vector<TestFailure> failures;
  std::size_t tests = 0;                        // [[test]] tables
  std::size_t failed_tests = 0;                 // of them
  std::size_t packets = 0;                      // lines of words
  std::size_t samples = 0;                      // packets that were asked
  std::map<std::string, std::size_t> left_out;  // packets that could not be asked, by why not
};

// Answers a sample of a case, `index` being the case's.
using Asker = std::function<AnswerOrWhyNot(const ask::TestCase& test_case, std::size_t index,
                                           std::size_t sample)>;

TestReport judge(std::vector<ask::TestCase> cases, const Asker& asker);

// Plans the tests and puts them to the evaluator. What is wrong in their words goes to `findings`.
TestReport run_tests(const policy::Policy& policy, ask::Site& site, Diagnostics& findings);

// The failures, each at its line, with the packet and the line that decides.
void render(const Terminal& terminal, const policy::Policy& policy, const TestReport& report);

// "14 tests, 63 packets, 1,089 samples: all as expected".
std::string summary(const TestReport& report);

// What was not asked, and why; nothing where all was.
void render_left_out(const Terminal& terminal, const TestReport& report);

Json to_json(const policy::Policy& policy, const TestReport& report);

}  // namespace rolewall::cli
