#include "ask/test_report.h"

#include <set>
#include <utility>

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
  count_failed(report);
}

}  // namespace

void count_failed(TestReport& report) {
  std::set<const policy::Test*> failed;
  for (const TestFailure& failure : report.failures) {
    failed.insert(report.cases[failure.test_case].test);
  }
  report.failed_tests = failed.size();
}

Result<Asker> evaluator(Site& site, const std::vector<TestCase>& cases) {
  return [&site, &cases](std::size_t test_case, std::size_t sample) {
    return site.ask(cases[test_case].samples[sample]);
  };
}

Result<TestReport> run_tests(const policy::Policy& policy, Site& site, const Answerer& answerer,
                             Diagnostics& findings) {
  TestReport report;
  report.cases = plan_tests(policy, findings);
  const auto asker = answerer(site, report.cases);
  if (!asker) return std::unexpected(asker.error());
  for (std::size_t index = 0; index < report.cases.size(); ++index) {
    const TestCase& test_case = report.cases[index];
    for (std::size_t sample = 0; sample < test_case.samples.size(); ++sample) {
      AnswerOrWhyNot answer = (*asker)(index, sample);
      if (!answer) {
        ++report.left_out[answer.error()];
        continue;
      }
      ++report.samples;
      std::string wrong = judge(test_case, *answer);
      if (!wrong.empty()) report.failures.push_back({index, std::move(*answer), std::move(wrong)});
    }
  }
  count(report);
  return report;
}

}  // namespace rolewall::ask
