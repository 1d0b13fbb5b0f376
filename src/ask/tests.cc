#include "ask/tests.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/codes.h"

namespace rolewall::ask {
namespace {

using policy::Code;
using policy::Expectation;
using policy::Index;
using policy::RuleFile;

// Whether a role leaves out a rule of the block, so that what the block promises no longer holds.
bool skips_a_rule_of(const RuleFile& role, const RuleFile& block) {
  return std::any_of(role.skip.begin(), role.skip.end(),
                     [&](const std::string& rule) { return rule.starts_with(block.name + "."); });
}

bool is_on(const policy::Policy& policy, const policy::Test& test, Index host) {
  return !test.on || policy::names_host(policy, *test.on, host);
}

// The first of the host's roles that skips a rule of the block; nullptr if none does.
const RuleFile* skipping_role(const policy::Policy& policy, Index host, const RuleFile& block) {
  for (const Index role : policy.hosts[host].roles) {
    if (skips_a_rule_of(policy.files[role], block)) return &policy.files[role];
  }
  return nullptr;
}

void no_sample(const policy::TestPacket& packet, Diagnostics& diagnostics) {
  report(diagnostics, Code::NoSample, packet.words.span,
         fmt::format("no packet fits `{}`, so this tests nothing", packet.words.text), kWhyNone);
}

TestCase sampled(const Sampler& sampler, const policy::Test& test, const policy::TestPacket& packet,
                 std::optional<Index> host, bool first_of_denials, Diagnostics& diagnostics) {
  TestCase test_case{&test, &packet, host, {}, 0};
  const Asking asking{host, host.has_value()};
  const bool first_alone =
      first_of_denials && packet.expected == Expectation::Deny && test.by.empty();
  if (first_alone) {
    test_case.samples = sampler.take_first(packet.words, asking, test_case.of, diagnostics);
  } else {
    test_case.samples = sampler.take(packet.words, asking, diagnostics);
    test_case.of = test_case.samples.size();
  }
  return test_case;
}

// One file's tests, on every host that uses the file.
void plan_file(const policy::Policy& policy, const Sampler& sampler, Index index,
               bool first_of_denials, std::vector<TestCase>& cases, Diagnostics& diagnostics) {
  const RuleFile& file = policy.files[index];
  const std::vector<Index> hosts = hosts_asked(policy, file);
  for (const Index host : file.hosts) {
    if (file.is_role || (file.tests.empty() && file.laws.empty())) break;
    const RuleFile* skipping = skipping_role(policy, host, file);
    if (skipping == nullptr) continue;
    report(diagnostics, Code::BlockTestsNotRun, {skipping->file, 0, 0},
           fmt::format("role {} skips a rule of {}: the tests of that block do not run on {}",
                       skipping->name, file.name, policy.hosts[host].name));
  }
  if (hosts.empty()) return;

  for (const policy::Test& test : file.tests) {
    const bool anywhere = std::any_of(hosts.begin(), hosts.end(),
                                      [&](Index host) { return is_on(policy, test, host); });
    for (const policy::TestPacket& packet : test.packets) {
      const std::size_t errors = diagnostics.error_count();
      std::size_t samples = 0;
      std::vector<Index> lacking;
      for (const Index host : hosts) {
        if (!is_on(policy, test, host)) continue;
        // A host of this file's own that is named is asked; another is an error of the words.
        const auto& at = packet.words.at;
        if (at && at != host && std::ranges::count(hosts, *at) != 0) continue;
        if (sampler.lacks_interface(packet.words, host)) {
          lacking.push_back(host);
          continue;
        }
        TestCase test_case = sampled(sampler, test, packet, host, first_of_denials, diagnostics);
        if (diagnostics.error_count() > errors) break;
        samples += test_case.of;
        if (!test_case.samples.empty()) cases.push_back(std::move(test_case));
      }
      if (samples == 0 && !lacking.empty()) {
        sampler.report_lacking(packet.words, lacking, diagnostics);
      }
      const bool wrong = diagnostics.error_count() > errors;
      if (samples == 0 && anywhere && !wrong && !file.shipped) no_sample(packet, diagnostics);
    }
  }
}

bool is_expected(Expectation expectation, Verdict verdict) {
  switch (expectation) {
    case Expectation::Accept:
      return verdict == Verdict::Accept;
    case Expectation::Deny:
      return is_denied(verdict);
    case Expectation::Drop:
      return verdict == Verdict::Drop;
    case Expectation::Reject:
      return verdict == Verdict::Reject;
  }
  return false;
}

// "in=public or in=private"
std::string choices(const Hop& hop) {
  std::string words;
  for (const Alternative& alternative : hop.alternatives) {
    if (!words.empty()) words += " or ";
    words += alternative.add.empty() ? alternative.when : alternative.add;
  }
  return words;
}

std::string in_words(const Answer& answer) {
  const Hop* hop = deciding_hop(answer);
  switch (answer.verdict) {
    case Verdict::Accept:
      return "is accepted";
    case Verdict::Drop:
      return "is dropped";
    case Verdict::Reject:
      return "is rejected";
    case Verdict::Stack:
      return fmt::format("goes no further in the IP stack: {}", hop != nullptr ? hop->reason : "");
    case Verdict::Held:
      return fmt::format("is held: {}", hop != nullptr ? hop->reason : "");
    case Verdict::Conditional:
      if (hop == nullptr) return "depends on something the words leave open";
      return hop->reason.empty() ? fmt::format("depends on the interface: add {}", choices(*hop))
                                 : fmt::format("{}: {}", hop->reason, choices(*hop));
    case Verdict::Undecided:
      return fmt::format("is undecided: {}", hop != nullptr ? hop->reason : "");
  }
  return {};
}

// Who decided: for a denial the one who denied; what both ends accept has several deciders, and any
// of them may be meant.
std::vector<std::string> deciders(const Answer& answer) {
  std::vector<std::string> rules;
  for (const Hop& hop : answer.hops) {
    if (answer.verdict != Verdict::Accept && &hop != &answer.hops.back()) continue;
    if (hop.decided_by && !hop.decided_by->rule.empty()) rules.push_back(hop.decided_by->rule);
  }
  return rules;
}

}  // namespace

std::vector<Index> hosts_asked(const policy::Policy& policy, const RuleFile& file) {
  std::vector<Index> hosts = file.hosts;
  if (file.is_role) return hosts;
  std::erase_if(hosts, [&](Index host) { return skipping_role(policy, host, file) != nullptr; });
  return hosts;
}

std::string_view name_of(Expectation expectation) {
  switch (expectation) {
    case Expectation::Accept:
      return "accept";
    case Expectation::Deny:
      return "deny";
    case Expectation::Drop:
      return "drop";
    case Expectation::Reject:
      return "reject";
  }
  return {};
}

void take_all(const policy::Policy& policy, TestCase& test_case) {
  if (test_case.samples.size() == test_case.of) return;
  Diagnostics told_already;
  test_case.samples = Sampler(policy).take(
      test_case.packet->words, {test_case.host, test_case.host.has_value()}, told_already);
}

std::vector<TestCase> plan_tests(const policy::Policy& policy, Diagnostics& diagnostics,
                                 bool first_of_denials) {
  const Sampler sampler(policy);
  std::vector<TestCase> cases;
  for (Index file = 0; file < policy.files.size(); ++file) {
    plan_file(policy, sampler, file, first_of_denials, cases, diagnostics);
  }
  for (const policy::Test& test : policy.tests) {
    for (const policy::TestPacket& packet : test.packets) {
      const std::size_t errors = diagnostics.error_count();
      TestCase test_case =
          sampled(sampler, test, packet, std::nullopt, first_of_denials, diagnostics);
      if (diagnostics.error_count() > errors) continue;
      if (test_case.samples.empty()) {
        no_sample(packet, diagnostics);
      } else {
        cases.push_back(std::move(test_case));
      }
    }
  }
  return cases;
}

std::string judge(const TestCase& test_case, const Answer& answer) {
  if (!is_expected(test_case.packet->expected, answer.verdict)) return in_words(answer);
  const std::string& by = test_case.test->by;
  if (by.empty()) return "";
  const std::vector<std::string> rules = deciders(answer);
  if (std::find(rules.begin(), rules.end(), by) != rules.end()) return "";
  return fmt::format("{}, but by {} and not by {}", in_words(answer),
                     rules.empty() ? "a chain policy" : fmt::format("{}", fmt::join(rules, ", ")),
                     by);
}

}  // namespace rolewall::ask
