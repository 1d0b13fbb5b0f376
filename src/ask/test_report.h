// The policies' tests, put to whoever answers, and counted: for check, test and apply alike.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ask/laws.h"
#include "ask/site.h"
#include "ask/tests.h"
#include "base/error.h"

namespace rolewall::ask {

// One sample that went otherwise than its test expects.
struct TestFailure {
  std::size_t test_case = 0;  // index into TestReport::cases
  Answer answer;
  std::string wrong;  // "is accepted"
};

struct TestReport {
  std::vector<TestCase> cases;
  std::vector<TestFailure> failures;
  std::size_t tests = 0;                        // [[test]] tables
  std::size_t failed_tests = 0;                 // of them
  std::size_t packets = 0;                      // lines of words
  std::size_t samples = 0;                      // packets that were asked
  std::map<std::string, std::size_t> left_out;  // packets that could not be asked, by why not
  // By test case, of those that are held for every packet (exact.h): whose statement is proven, and
  // why the others' is neither that nor refuted.
  std::set<std::size_t> proven;
  std::map<std::size_t, std::string> not_proven;
  std::vector<LawCase> laws;  // whose words concern somebody
  // By full name, the rules that have decided about a packet of a test, at one of its ends.
  std::set<std::string> touched;

  // Every test as expected, every law proven.
  bool passed() const;
  // And every denial.
  bool proven_as_well() const { return passed() && not_proven.empty(); }
};

// Or why it cannot be asked: "sending as their user needs root".
using AnswerOrWhyNot = std::expected<Answer, std::string>;

// Answers a sample of a case. Each is asked once, in the order of the cases.
using Asker = std::function<AnswerOrWhyNot(std::size_t test_case, std::size_t sample)>;

// Who answers, the evaluator or somebody else: sees all cases before the first of them is asked.
// Both outlive the Asker. An error: nothing can be asked at all.
using Answerer = std::function<Result<Asker>(Site& site, const std::vector<TestCase>& cases)>;

// Every sample run through the site's rulesets. Never fails, and leaves none out.
Result<Asker> evaluator(Site& site, const std::vector<TestCase>& cases);

// Plans the tests and the laws, asks, and judges each answer. What is wrong in the tests' words
// goes to `findings`. Laws are proven, and where the evaluator answers denials are held for every
// packet (exact.h); of one that is proven the first sample alone is asked, if that is all that the
// test says.
Result<TestReport> run_tests(const policy::Policy& policy, Site& site, const Answerer& answerer,
                             Diagnostics& findings);

}  // namespace rolewall::ask
