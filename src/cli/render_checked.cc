#include "cli/render_checked.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "cli/exit_status.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

std::size_t left_out(const ask::TestReport& report) {
  std::size_t sum = 0;
  for (const auto& [why, count] : report.left_out) sum += count;
  return sum;
}

std::string host_of(const policy::Policy& policy, const ask::TestCase& test_case) {
  return test_case.host ? policy.hosts[*test_case.host].name : "";
}

}  // namespace

int exit_status_of(const Diagnostics& findings) {
  // A list that is missing is wrong at the line that names it; a policy file has no line.
  const bool unreadable =
      std::any_of(findings.all().begin(), findings.all().end(), [](const Diagnostic& finding) {
        return finding.severity == Severity::Error && is(finding, policy::Code::UnreadableFile) &&
               finding.span.line == 0;
      });
  if (unreadable) return kUsage;
  return findings.has_errors() ? kNo : kDone;
}

int exit_status_of(const ask::Checked& checked) {
  const int status = exit_status_of(checked.findings);
  return status == kDone && !checked.tests.failures.empty() ? kNo : status;
}

// One failing sample of each line of words, and how many there are: the others say the same again.
void render(const Terminal& terminal, const policy::Policy& policy, const ask::TestReport& report) {
  std::map<const policy::TestPacket*, std::size_t> total;
  for (const ask::TestFailure& failure : report.failures) {
    ++total[report.cases[failure.test_case].packet];
  }
  std::set<const policy::TestPacket*> shown;
  for (const ask::TestFailure& failure : report.failures) {
    const ask::TestCase& test_case = report.cases[failure.test_case];
    const policy::TestPacket& packet = *test_case.packet;
    if (!shown.insert(&packet).second) continue;
    const std::string host = host_of(policy, test_case);
    const std::size_t others = total[&packet] - 1;
    terminal.line(
        fmt::format("{} {}: {} \"{}\"{} {}{}",
                    terminal.paint(Tone::Strong, policy.sources.format(packet.words.span) + ":"),
                    terminal.paint(Tone::Bad, "failed"), ask::name_of(packet.expected),
                    printable(packet.words.text), host.empty() ? "" : fmt::format(" on {}", host),
                    printable(failure.wrong),
                    others == 0 ? "" : fmt::format(" (and {} more)", counted(others, "sample"))));
    render(terminal, failure.answer);
  }
  for (const auto& [index, why] : report.not_proven) {
    const ask::TestCase& test_case = report.cases[index];
    const policy::TestPacket& packet = *test_case.packet;
    terminal.line(
        fmt::format("{} not proven: {} \"{}\" on {}: {}",
                    terminal.paint(Tone::Strong, policy.sources.format(packet.words.span) + ":"),
                    ask::name_of(packet.expected), printable(packet.words.text),
                    host_of(policy, test_case), printable(why)));
  }
}

void render(const Terminal& terminal, const policy::Policy& policy, const ask::Checked& checked) {
  render(terminal, policy.sources, checked.findings);
  render(terminal, policy, checked.tests);
}

std::string summary(const ask::TestReport& report) {
  std::string asked =
      fmt::format("{}, {}, {}", counted(report.tests, "test"), counted(report.packets, "packet"),
                  counted(report.samples, "sample"));
  if (const std::size_t count = left_out(report); count > 0) {
    asked += fmt::format(" ({} not asked)", grouped(count));
  }
  const std::string doubts =
      report.not_proven.empty() ? "" : fmt::format(", {} not proven", report.not_proven.size());
  if (report.failures.empty()) return fmt::format("{}: all as expected{}", asked, doubts);
  return fmt::format("{}: {} failed, {} not as expected{}", asked,
                     counted(report.failed_tests, "test"),
                     counted(report.failures.size(), "sample"), doubts);
}

void render_left_out(const Terminal& terminal, const ask::TestReport& report) {
  for (const auto& [why, count] : report.left_out) {
    terminal.line(fmt::format("not asked: {}: {}", counted(count, "sample"), why));
  }
}

Json to_json(const policy::Policy& policy, const ask::TestReport& report) {
  std::map<std::size_t, Json> failures;  // by test case
  for (const ask::TestFailure& failure : report.failures) {
    Json json = to_json(failure.answer);
    json["wrong"] = failure.wrong;
    failures[failure.test_case].push_back(std::move(json));
  }
  Json json;
  json["passed"] = report.tests - report.failed_tests;
  json["failed"] = report.failed_tests;
  json["packets"] = report.packets;
  json["samples"] = report.samples;
  if (const std::size_t count = left_out(report); count > 0) json["left_out"] = count;
  for (const auto& [why, count] : report.left_out) json["left_out_why"][why] = count;
  if (!report.not_proven.empty()) json["not_proven"] = report.not_proven.size();
  json["results"] = Json::array();
  for (std::size_t index = 0; index < report.cases.size(); ++index) {
    const ask::TestCase& test_case = report.cases[index];
    const policy::PacketWords& words = test_case.packet->words;
    Json result;
    result["test"] = test_case.test->name;
    if (words.span.known()) {
      result["file"] = policy.sources.path(words.span.file);
      result["line"] = words.span.line;
      result["column"] = words.span.column;
    }
    if (test_case.host) result["host"] = host_of(policy, test_case);
    result["packet"] = words.text;
    result["expected"] = ask::name_of(test_case.packet->expected);
    if (!test_case.test->by.empty()) result["by"] = test_case.test->by;
    result["samples"] = test_case.samples.size();
    if (report.proven.contains(index)) result["proven"] = true;
    if (const auto doubt = report.not_proven.find(index); doubt != report.not_proven.end()) {
      result["not_proven"] = doubt->second;
    }
    const auto failed = failures.find(index);
    result["passed"] = failed == failures.end();
    if (failed != failures.end()) result["failures"] = std::move(failed->second);
    json["results"].push_back(std::move(result));
  }
  return json;
}

}  // namespace rolewall::cli
