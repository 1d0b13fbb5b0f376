#include "ask/test_report.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "ask/exact.h"

namespace rolewall::ask {
namespace {

void count(TestReport& report) {
  std::set<const policy::Test*> tests;
  std::set<const policy::TestPacket*> packets;
  for (const TestCase& test_case : report.cases) {
    tests.insert(test_case.test);
    packets.insert(test_case.packet);
  }
  report.tests = tests.size();
  report.packets = packets.size();
  std::set<const policy::Test*> failed;
  for (const TestFailure& failure : report.failures) {
    failed.insert(report.cases[failure.test_case].test);
  }
  report.failed_tests = failed.size();
}

// Not so the kernel, which can be asked one packet at a time.
bool is_evaluator(const Answerer& answerer) {
  using Function = Result<Asker> (*)(Site&, const std::vector<TestCase>&);
  const auto* function = answerer.target<Function>();
  return function != nullptr && *function == &evaluator;
}

// How many samples of a case are asked.
std::size_t asked_of(const TestReport& report, std::size_t index) {
  const TestCase& test_case = report.cases[index];
  const bool says_no_more =
      test_case.packet->expected == policy::Expectation::Deny && test_case.test->by.empty();
  const bool is_proven = report.proven.contains(index) && says_no_more;
  return is_proven ? 1 : test_case.samples.size();
}

}  // namespace

bool TestReport::passed() const {
  return failures.empty() && std::ranges::all_of(laws, [](const LawCase& law) {
           return law.proof.outcome == Proof::Outcome::Holds;
         });
}

Result<Asker> evaluator(Site& site, const std::vector<TestCase>& cases) {
  return [&site, &cases](std::size_t test_case, std::size_t sample) {
    return site.ask(cases[test_case].samples[sample]);
  };
}

Result<TestReport> run_tests(const policy::Policy& policy, Site& site, const Answerer& answerer,
                             Diagnostics& findings) {
  TestReport report;
  report.cases = plan_tests(policy, findings, is_evaluator(answerer));
  const auto asker = answerer(site, report.cases);
  if (!asker) return std::unexpected(asker.error());
  report.laws = plan_laws(policy, findings);
  Prover prover(policy, site);
  auto broken = prove_tests(prover, report, is_evaluator(answerer));
  drop_unasked(report.laws, findings);
  for (std::size_t index = 0; index < report.cases.size(); ++index) {
    TestCase& test_case = report.cases[index];
    const std::size_t failures = report.failures.size();
    if (!report.proven.contains(index)) take_all(policy, test_case);
    const std::size_t asked = asked_of(report, index);
    report.samples += test_case.of - asked;
    for (std::size_t sample = 0; sample < asked; ++sample) {
      AnswerOrWhyNot answer = (*asker)(index, sample);
      if (!answer) {
        ++report.left_out[answer.error()];
        continue;
      }
      ++report.samples;
      for (const Hop& hop : answer->hops) {
        if (hop.decided_by) report.touched.insert(hop.decided_by->rule);
      }
      std::string wrong = judge(test_case, *answer);
      if (!wrong.empty()) report.failures.push_back({index, std::move(*answer), std::move(wrong)});
    }
    // A sample that fails is a counterexample as good as any.
    auto found = broken.find(index);
    if (found != broken.end() && report.failures.size() == failures) {
      Proof& proof = found->second;
      std::string wrong = "is accepted, though no sample is: it is about every packet";
      if (proof.sample) wrong += names_of_ends(policy, test_case.packet->words, *proof.sample);
      report.failures.push_back({index, std::move(*proof.counterexample), std::move(wrong)});
    }
  }
  count(report);
  return report;
}

}  // namespace rolewall::ask
