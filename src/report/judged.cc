// What was judged: findings, tests and laws, the difference to a base.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "policy/codes.h"
#include "report/sections.h"

namespace rolewall::report {
namespace {

constexpr std::size_t kMostHostsNamed = 8;

std::string place_of(const policy::Policy& policy, const Span& span) {
  if (!span.known()) return "";
  const std::string& path = policy.sources.path(span.file);
  return span.line == 0 ? path : fmt::format("{}:{}", path, span.line);
}

std::string some_of(const std::vector<std::string>& hosts) {
  if (hosts.size() <= kMostHostsNamed) return fmt::format("{}", fmt::join(hosts, ", "));
  return fmt::format("{} and {} more",
                     fmt::join(hosts.begin(), hosts.begin() + kMostHostsNamed, ", "),
                     hosts.size() - kMostHostsNamed);
}

std::string who_decides(const std::optional<ask::DecidedBy>& by) {
  if (!by) return "";
  const std::string rule = by->rule.empty() ? by->chain : by->rule;
  return by->file.empty() ? " by " + rule : fmt::format(" by {}, {}:{}", rule, by->file, by->line);
}

void write_finding(Html& html, const Model& model, const Diagnostic& finding,
                   const Anchors& anchors, PolicyLines& lines) {
  const auto item = html.in("li");
  html.leaf("span", name_of(finding.severity), {{"class", std::string(name_of(finding.severity))}});
  html.text(" ");
  html.leaf("code", finding.code);
  html.text(" " + finding.message);
  {
    const auto place = html.in("div", {{"class", "quiet"}});
    const std::string about = anchors.of(finding.span);
    const std::string anchor = about.empty() ? anchors.of(finding.subject) : about;
    const std::string where = place_of(model.policy, finding.span);
    if (anchor.empty() || where.empty()) {
      html.text(where + " ");
    } else {
      html.leaf("a", where, {{"href", "#" + anchor}});
      html.text(" ");
    }
    if (finding.span.known()) {
      const std::string words =
          lines.of(model.policy.sources.path(finding.span.file), finding.span.line);
      if (!words.empty()) html.leaf("code", words);
    }
  }
  if (!finding.hint.empty()) html.leaf("div", finding.hint);
}

// Of a kind that there are many of, a line that opens.
void write_findings_of_level(Html& html, const Model& model, Severity level, const Anchors& anchors,
                             PolicyLines& lines) {
  constexpr std::size_t kMostShown = 10;
  std::map<std::string, std::vector<const Diagnostic*>> by_code;
  for (const Diagnostic& each : model.checked.findings.all()) {
    if (each.severity == level) by_code[each.code].push_back(&each);
  }
  const auto write_list = [&](const std::vector<const Diagnostic*>& findings) {
    const auto list = html.in("ul", {{"class", "rules"}});
    for (const Diagnostic* each : findings) write_finding(html, model, *each, anchors, lines);
  };
  std::vector<const Diagnostic*> shown;
  for (const Diagnostic& each : model.checked.findings.all()) {
    if (each.severity == level && by_code.at(each.code).size() <= kMostShown)
      shown.push_back(&each);
  }
  if (!shown.empty()) write_list(shown);
  for (const auto& [code, findings] : by_code) {
    if (findings.size() <= kMostShown) continue;
    const auto details = html.in("details");
    html.leaf("summary",
              fmt::format("{} {} of {}", findings.size(), std::string(name_of(level)) + "s", code));
    write_list(findings);
  }
}

// Those that silence something: what does not is a finding itself.
std::vector<policy::AllowedFinding> allowed_in_use(const Model& model) {
  std::vector<policy::AllowedFinding> all = model.policy.allowed;
  std::erase_if(all, [&](const policy::AllowedFinding& each) {
    return std::ranges::any_of(model.checked.findings.all(), [&](const Diagnostic& finding) {
      return policy::is(finding, policy::Code::AllowsNothing) && finding.span == each.span;
    });
  });
  return all;
}

void write_allowed(Html& html, const Model& model) {
  const std::vector<policy::AllowedFinding> allowed = allowed_in_use(model);
  if (allowed.empty()) return;
  const auto details = html.in("details");
  html.leaf("summary",
            fmt::format("{} by the policy, with the reason", counted(allowed.size(), "exception")));
  const WideTable table(html, "Findings that the policy allows", {"finding", "why", "where"});
  const auto body = html.in("tbody");
  for (const policy::AllowedFinding& each : allowed) {
    const auto row = html.in("tr");
    html.leaf("th", each.code, {{"scope", "row"}});
    html.leaf("td", each.why);
    html.leaf("td", place_of(model.policy, each.span));
  }
}

struct Outcome {
  std::string word;
  std::string_view tone;
  std::string more;
};

Outcome outcome_of(const ask::Proof& proof, policy::LawKind kind) {
  switch (proof.outcome) {
    case ask::Proof::Outcome::Holds:
      return {"proven", "good", "for every packet"};
    case ask::Proof::Outcome::Broken:
      return {"broken", "bad",
              proof.counterexample
                  ? fmt::format("{} is {}", proof.counterexample->packet,
                                kind == policy::LawKind::Never ? "accepted" : "denied")
                  : ""};
    case ask::Proof::Outcome::NotProven:
      return {"not proven", "warn", proof.why};
    case ask::Proof::Outcome::NotAsked:
      break;
  }
  return {"not asked", "quiet", proof.why};
}

Outcome outcome_of_test(const ask::TestReport& tests, std::size_t number) {
  for (const ask::TestFailure& failure : tests.failures) {
    if (failure.test_case == number)
      return {"failed", "bad", fmt::format("{} {}", failure.answer.packet, failure.wrong)};
  }
  if (tests.proven.contains(number)) return {"proven", "good", "for every packet"};
  const auto why = tests.not_proven.find(number);
  if (why != tests.not_proven.end()) return {"as expected, not proven", "warn", why->second};
  return {"as expected", "good", ""};
}

void write_outcome(Html& html, const Outcome& outcome) {
  const auto cell = html.in("td");
  html.leaf("span", outcome.word, {{"class", std::string(outcome.tone)}});
  if (!outcome.more.empty()) html.text(": " + outcome.more);
}

// Cases of several hosts with the same words and outcome are one row.
struct JudgedRow {
  std::string_view kind;
  std::string name;
  std::string words;
  Outcome outcome;
  std::vector<std::string> hosts;
};

void add_row(std::vector<JudgedRow>& rows, JudgedRow row, const policy::Policy& policy,
             std::optional<policy::Index> host) {
  if (host) row.hosts.push_back(policy.hosts[*host].name);
  // The hosts of a file's case follow one another.
  const auto same = std::ranges::find_if(rows.rbegin(), rows.rend(), [&](const JudgedRow& each) {
    return each.kind == row.kind && each.name == row.name && each.words == row.words &&
           each.outcome.word == row.outcome.word && each.outcome.more == row.outcome.more;
  });
  if (same == rows.rend()) {
    rows.push_back(std::move(row));
  } else {
    same->hosts.insert(same->hosts.end(), row.hosts.begin(), row.hosts.end());
  }
}

void write_rows(Html& html, std::string_view caption, const std::vector<JudgedRow>& rows) {
  const WideTable table(html, caption, {"name", "packets", "hosts", "outcome"});
  const auto body = html.in("tbody");
  for (const JudgedRow& each : rows) {
    const auto row = html.in("tr");
    html.leaf("th", each.name, {{"scope", "row"}});
    {
      const auto cell = html.in("td");
      html.text(std::string(each.kind) + " ");
      html.leaf("code", each.words);
    }
    html.leaf("td", each.hosts.empty() ? "both ends" : some_of(each.hosts));
    write_outcome(html, each.outcome);
  }
}

std::string spaced_kind(ask::DiffKind kind) {
  std::string words(ask::name_of(kind));
  std::ranges::replace(words, '-', ' ');
  return words;
}

std::string fate_words(const ask::ToldFate& fate) {
  std::string words(ask::name_of(fate.verdict));
  words += who_decides(fate.decided_by);
  if (!fate.reason.empty()) words += ": " + fate.reason;
  if (!fate.translated.empty()) words += ", translated " + fate.translated;
  return words;
}

void write_class(Html& html, const ask::DiffClass& one) {
  const auto item = html.in("li");
  const bool opens = one.kind == ask::DiffKind::NewlyAccepted;
  html.leaf("span", spaced_kind(one.kind), {{"class", opens ? "bad" : "warn"}});
  html.text(one.whole ? ": " : ": some of ");
  html.leaf("code", fmt::format("{} {} > {}{}{}", one.service, one.from, one.to,
                                one.options.empty() ? "" : " ", one.options));
  if (!one.depends.empty()) {
    html.text(fmt::format(" (depends on {})", fmt::join(one.depends, ", ")));
  }
  html.leaf("div", "on " + some_of(one.hosts), {{"class", "quiet"}});
  const auto example = html.in("div");
  html.text("For example ");
  html.leaf("code", one.example.packet);
  html.text(fmt::format(": before, {}; now, {}", fate_words(one.example.before),
                        fate_words(one.example.after)));
}

}  // namespace

void write_findings(Html& html, const Model& model, const Anchors& anchors, PolicyLines& lines) {
  const auto section = html.in("section", {{"aria-labelledby", "findings"}});
  html.leaf("h2", "Findings", {{"id", "findings"}});
  const auto& all = model.checked.findings.all();
  if (all.empty()) html.leaf("p", "None.", {{"class", "good"}});
  for (const Severity level : {Severity::Error, Severity::Warning, Severity::Note}) {
    write_findings_of_level(html, model, level, anchors, lines);
  }
  if (model.checked.findings.suppressed() > 0) {
    html.leaf("p", fmt::format("{} more are not shown: `rolewall check` after these are mended.",
                               model.checked.findings.suppressed()));
  }
  if (!all.empty()) {
    html.leaf("p",
              "`rolewall explain CODE` tells what can happen, how to mend it, and when it is "
              "right as it is.",
              {{"class", "quiet"}});
  }
  write_allowed(html, model);
}

void write_laws(Html& html, const Model& model) {
  const auto section = html.in("section", {{"aria-labelledby", "laws"}});
  html.leaf("h2", "Laws and tests", {{"id", "laws"}});
  const ask::TestReport& tests = model.checked.tests;
  std::vector<JudgedRow> rows;
  for (const ask::LawCase& law : tests.laws) {
    const bool never = law.law->kind == policy::LawKind::Never;
    add_row(rows,
            {never ? "never" : "always",
             law.law->name,
             law.words->text,
             outcome_of(law.proof, law.law->kind),
             {}},
            model.policy, law.host);
  }
  if (rows.empty()) html.leaf("p", "The policies have no laws ([[never]], [[always]]).");
  if (!rows.empty()) write_rows(html, "Laws", rows);
  rows.clear();
  for (std::size_t i = 0; i < tests.cases.size(); ++i) {
    const ask::TestCase& one = tests.cases[i];
    add_row(rows,
            {ask::name_of(one.packet->expected),
             one.test->name,
             one.packet->words.text,
             outcome_of_test(tests, i),
             {}},
            model.policy, one.host);
  }
  if (rows.empty()) {
    html.leaf("p", "The policies have no tests.");
    return;
  }
  const auto details = html.in("details");
  html.leaf(
      "summary",
      fmt::format("{} with {}: {}", counted(tests.tests, "test"), counted(tests.packets, "packet"),
                  tests.failures.empty() ? "all as expected"
                                         : counted(tests.failed_tests, "test") + " failed"));
  write_rows(html, "Tests", rows);
}

void write_base(Html& html, const Model& model) {
  if (!model.base) return;
  const ask::Diff& diff = model.base->diff;
  const auto section = html.in("section", {{"aria-labelledby", "base"}});
  html.leaf("h2", "What differs from " + model.base->name, {{"id", "base"}});
  if (!diff.new_hosts.empty()) html.leaf("p", "New hosts: " + some_of(diff.new_hosts));
  if (!diff.gone_hosts.empty()) html.leaf("p", "Hosts that are gone: " + some_of(diff.gone_hosts));
  for (const std::string& why : diff.not_proven) {
    html.leaf("p", "Not proven: " + why, {{"class", "warn"}});
  }
  for (const std::string& what : diff.not_compared) {
    html.leaf("p", "Differs, and is not compared: " + what, {{"class", "warn"}});
  }
  for (const std::string& what : diff.mistakes) {
    html.leaf("p", "A mistake of rolewall's, please report it: " + what, {{"class", "bad"}});
  }
  for (const std::string& what : diff.assumed) {
    html.leaf("p", "Taken for the same before and after, which no ruleset tells: " + what);
  }
  if (diff.classes.empty() && diff.is_proof()) {
    html.leaf("p", "No packet's fate differs on the hosts that both have. This is proven.",
              {{"class", "good"}});
  }
  if (diff.classes.empty()) return;
  html.leaf("p", fmt::format("All together: {}.", ask::name_of(ask::word_of(diff))));
  const auto list = html.in("ul", {{"class", "rules"}});
  for (const ask::DiffClass& one : diff.classes) write_class(html, one);
}

}  // namespace rolewall::report
