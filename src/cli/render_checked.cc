#include "cli/render_checked.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "ask/exact.h"
#include "cli/exit_status.h"
#include "cli/render.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "policy/codes.h"
#include "policy/law.h"

namespace rolewall::cli {
namespace {

std::size_t left_out(const ask::TestReport& report) {
  std::size_t sum = 0;
  for (const auto& [why, count] : report.left_out) sum += count;
  return sum;
}

std::string host_of(const policy::Policy& policy, const std::optional<policy::Index>& host) {
  return host ? policy.hosts[*host].name : "";
}
// " on web-01"; of both ends nothing.
std::string on_host(const policy::Policy& policy, const std::optional<policy::Index>& host) {
  return host ? " on " + policy.hosts[*host].name : "";
}

// The sentence that a test or a law claims, where it has one.
void render_name(const Terminal& terminal, std::string_view what, const std::string& name) {
  if (!name.empty()) terminal.line(fmt::format("  {}: {}", what, printable(name)));
}

// What is wrong with a law; nothing where it is proven.
void render(const Terminal& terminal, const policy::Policy& policy, const ask::LawCase& law) {
  using Outcome = ask::Proof::Outcome;
  const Outcome outcome = law.proof.outcome;
  if (outcome == Outcome::Holds || outcome == Outcome::NotAsked) return;
  const bool broken = outcome == Outcome::Broken;
  const std::string ends =
      broken && law.proof.sample
          ? printable(ask::names_of_ends(policy, *law.words, *law.proof.sample))
          : "";
  terminal.line(fmt::format(
      "{} {}: {} \"{}\"{}: {}{}",
      terminal.paint(Tone::Strong, policy.sources.format(law.words->span) + ":"),
      terminal.paint(Tone::Bad, broken ? "broken" : "not proven"), policy::word_of(law.law->kind),
      printable(law.words->text), on_host(policy, law.host),
      broken ? (law.law->kind == policy::LawKind::Never ? "this packet is accepted"
                                                        : "this packet is denied")
             : printable(law.proof.why),
      ends));
  render_name(terminal, "law", law.law->name);
  if (broken) render(terminal, *law.proof.counterexample);
}

std::size_t count_of(const ask::TestReport& report, ask::Proof::Outcome outcome) {
  return static_cast<std::size_t>(std::ranges::count_if(
      report.laws, [&](const ask::LawCase& law) { return law.proof.outcome == outcome; }));
}

void put_place(Json& json, const policy::Policy& policy, const policy::PacketWords& words) {
  if (!words.span.known()) return;
  json["file"] = policy.sources.path(words.span.file);
  json["line"] = words.span.line;
  json["column"] = words.span.column;
}

// The policy's rule, of whose chain it is: "an element of web.inbound.app/rate4 (inet rolewall,
// chain web.inbound.app, rule 2)".
std::string_view rule_of(std::string_view counted) {
  constexpr std::string_view kChain = ", chain ";
  const auto at = counted.find(kChain);
  if (at == std::string_view::npos) return counted;
  const std::string_view chain = counted.substr(at + kChain.size());
  const std::string_view rule = chain.substr(0, chain.find(','));
  return rule.contains('.') ? rule : counted;
}

}  // namespace

std::string_view proof_word(ask::Proof::Outcome outcome) {
  switch (outcome) {
    case ask::Proof::Outcome::Holds:
      return "proven";
    case ask::Proof::Outcome::Broken:
      return "broken";
    case ask::Proof::Outcome::NotProven:
    case ask::Proof::Outcome::NotAsked:
      break;
  }
  return "not proven";
}

int exit_status_of(const Diagnostics& findings) {
  const bool unreadable =
      std::any_of(findings.all().begin(), findings.all().end(), [](const Diagnostic& finding) {
        return finding.severity == Severity::Error && is(finding, policy::Code::UnreadableFile);
      });
  if (unreadable) return kUsage;
  return findings.has_errors() ? kNo : kDone;
}

int exit_status_of(const ask::Checked& checked, bool strict) {
  const int status = exit_status_of(checked.findings);
  const bool passed = strict ? checked.tests.proven_as_well() : checked.tests.passed();
  return status == kDone && !passed ? kNo : status;
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
    const std::size_t others = total[&packet] - 1;
    terminal.line(fmt::format(
        "{} {}: {} \"{}\"{} {}{}",
        terminal.paint(Tone::Strong, policy.sources.format(packet.words.span) + ":"),
        terminal.paint(Tone::Bad, "failed"), ask::name_of(packet.expected),
        printable(packet.words.text), on_host(policy, test_case.host), printable(failure.wrong),
        others == 0 ? "" : fmt::format(" (and {} more)", counted(others, "sample"))));
    render_name(terminal, "test", test_case.test->name);
    render(terminal, failure.answer);
  }
  for (const auto& [index, why] : report.not_proven) {
    const ask::TestCase& test_case = report.cases[index];
    const policy::TestPacket& packet = *test_case.packet;
    terminal.line(
        fmt::format("{} not proven: {} \"{}\"{}: {}",
                    terminal.paint(Tone::Strong, policy.sources.format(packet.words.span) + ":"),
                    ask::name_of(packet.expected), printable(packet.words.text),
                    on_host(policy, test_case.host), printable(why)));
    render_name(terminal, "test", test_case.test->name);
  }
  for (const ask::LawCase& law : report.laws) render(terminal, policy, law);
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

std::string summary_of_laws(const ask::TestReport& report) {
  if (report.laws.empty()) return "";
  std::set<const policy::Law*> laws;
  std::set<const policy::PacketWords*> packets;
  for (const ask::LawCase& law : report.laws) {
    laws.insert(law.law);
    packets.insert(law.words);
  }
  const std::string asked =
      fmt::format("{}, {}", counted(laws.size(), "law"), counted(packets.size(), "packet"));
  const std::size_t broken = count_of(report, ask::Proof::Outcome::Broken);
  const std::size_t open = count_of(report, ask::Proof::Outcome::NotProven);
  if (broken + open == 0) return asked + ": all proven";
  std::string wrong;
  if (broken > 0) wrong = fmt::format("{} broken", broken);
  if (open > 0) wrong += fmt::format("{}{} not proven", wrong.empty() ? "" : ", ", open);
  return fmt::format("{}: {}", asked, wrong);
}

bool has_laws_of_rules_alone(const ask::TestReport& report) {
  return std::ranges::any_of(report.laws, [](const ask::LawCase& law) {
    return law.law->kind == policy::LawKind::Always &&
           law.proof.outcome == ask::Proof::Outcome::Holds;
  });
}

std::string what_laws_rest_on(const ask::TestReport& report) {
  constexpr std::size_t kMost = 2;
  std::vector<std::string_view> names;
  std::size_t laws = 0;
  for (const ask::LawCase& law : report.laws) {
    if (!law.proof.as_long_as.empty()) ++laws;
    for (const std::string& counted : law.proof.as_long_as) {
      const std::string_view name = rule_of(counted);
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  if (names.empty()) return "";
  std::ranges::sort(names);
  const std::size_t more = names.size() - std::min(names.size(), kMost);
  names.resize(names.size() - more);
  return fmt::format("{} of them as long as no limit is used up: of {}{}", laws,
                     fmt::join(names, ", "),
                     more == 0 ? "" : fmt::format(" and {} more (--format json)", more));
}

std::string summary_with_laws(const ask::TestReport& report) {
  const std::string laws = summary_of_laws(report);
  return summary(report) + (laws.empty() ? "" : "; " + laws);
}

std::string summary_of_failures(const ask::Checked& checked) {
  const std::string errors =
      checked.findings.has_errors() ? summary(checked.findings) + "; " : std::string();
  return errors + summary_with_laws(checked.tests);
}

void render_left_out(const Terminal& terminal, const ask::TestReport& report) {
  for (const auto& [why, count] : report.left_out) {
    terminal.line(fmt::format("not asked: {}: {}", counted(count, "sample"), why));
  }
}

Json laws_to_json(const policy::Policy& policy, const ask::TestReport& report) {
  Json json;
  json["proven"] = count_of(report, ask::Proof::Outcome::Holds);
  json["broken"] = count_of(report, ask::Proof::Outcome::Broken);
  json["not_proven"] = count_of(report, ask::Proof::Outcome::NotProven);
  json["results"] = Json::array();
  for (const ask::LawCase& law : report.laws) {
    Json result;
    result["law"] = law.law->name;
    result["kind"] = policy::word_of(law.law->kind);
    put_place(result, policy, *law.words);
    if (law.host) result["host"] = host_of(policy, law.host);
    result["packet"] = law.words->text;
    result["outcome"] = proof_word(law.proof.outcome);
    if (law.proof.counterexample) result["counterexample"] = to_json(*law.proof.counterexample);
    if (!law.proof.why.empty()) result["why"] = law.proof.why;
    if (!law.proof.as_long_as.empty()) result["as_long_as"] = law.proof.as_long_as;
    json["results"].push_back(std::move(result));
  }
  return json;
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
    put_place(result, policy, words);
    if (test_case.host) result["host"] = host_of(policy, test_case.host);
    result["packet"] = words.text;
    result["expected"] = ask::name_of(test_case.packet->expected);
    if (!test_case.test->by.empty()) result["by"] = test_case.test->by;
    result["samples"] = test_case.of;
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
