#include "cli/ci_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "ask/answer.h"
#include "cli/exit_status.h"
#include "policy/codes.h"
#include "policy/law.h"

namespace rolewall::cli {
namespace {

// The directory above the policies that has a .git (a folder, or a file in a worktree).
std::filesystem::path repository_of(const std::string& directory) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(directory, ignored);
  for (; !path.empty(); path = path.parent_path()) {
    if (std::filesystem::exists(path / ".git", ignored)) return path;
    if (path == path.parent_path()) break;
  }
  return {};
}

class Paths {
 public:
  explicit Paths(const policy::Policy& policy)
      : policy_(policy), root_(repository_of(policy.directory)) {}

  std::string of(const Span& span) const {
    if (!span.known()) return "";
    const std::filesystem::path path(policy_.sources.path(span.file));
    std::error_code ignored;
    const auto whole = std::filesystem::weakly_canonical(path, ignored);
    const auto base = root_.empty() ? std::filesystem::current_path(ignored) : root_;
    const std::string below = whole.lexically_relative(base).string();
    return below.empty() || below.starts_with("..") ? whole.string() : below;
  }

 private:
  const policy::Policy& policy_;
  std::filesystem::path root_;
};

// What is said of one line of a test's or a law's words.
ReportItem about_words(const Report& report, const Paths& paths, Severity severity,
                       std::string_view code, const policy::PacketWords& words,
                       std::optional<policy::Index> host, std::string_view claim,
                       std::string_view what) {
  const std::string on = host ? " on " + report.policy.hosts[*host].name : "";
  ReportItem item;
  item.severity = severity;
  item.code = code;
  item.path = paths.of(words.span);
  item.line = words.span.line;
  item.column = words.span.column;
  item.message = fmt::format("{} \"{}\"{} {}", claim, words.text, on, what);
  item.fingerprint =
      policy::fingerprint_hash(fmt::format("{}\n{}\n{}{}", code, item.path, words.text, on));
  return item;
}

// The packet, and who lets it pass or denies it.
std::string packet_and_rule(const ask::Answer& answer) {
  std::string text = answer.packet;
  const ask::Hop* hop = ask::deciding_hop(answer);
  if (hop == nullptr || !hop->decided_by) return text;
  const ask::DecidedBy& by = *hop->decided_by;
  text += fmt::format(" by {}", by.rule.empty() ? by.chain : by.rule);
  if (!by.file.empty()) text += fmt::format(", {}:{}", by.file, by.line);
  return text;
}

void add_tests(const Report& report, const Paths& paths, std::vector<ReportItem>& items) {
  const auto add = [&](Severity severity, std::string_view code, const ask::TestCase& test_case,
                       const std::string& what) {
    const policy::TestPacket& packet = *test_case.packet;
    items.push_back(about_words(report, paths, severity, code, packet.words, test_case.host,
                                ask::name_of(packet.expected), what));
  };
  std::set<const policy::TestPacket*> shown;
  for (const ask::TestFailure& failure : report.tests->failures) {
    const ask::TestCase& test_case = report.tests->cases[failure.test_case];
    if (!shown.insert(test_case.packet).second) continue;
    add(Severity::Error, kTestFailed, test_case, what_is_wrong(failure));
  }
  for (const auto& [index, why] : report.tests->not_proven) {
    const ask::TestCase& test_case = report.tests->cases[index];
    add(Severity::Warning, kTestNotProven, test_case, "is not proven: " + why);
  }
}

void add_laws(const Report& report, const Paths& paths, std::vector<ReportItem>& items) {
  for (const ask::LawCase& law : report.tests->laws) {
    if (!is_wrong(law)) continue;
    items.push_back(about_words(report, paths, Severity::Error, law_code(law), *law.words, law.host,
                                policy::word_of(law.law->kind), what_is_wrong(law)));
  }
}

}  // namespace

bool is_wrong(const ask::LawCase& law) {
  return law.proof.outcome == ask::Proof::Outcome::Broken ||
         law.proof.outcome == ask::Proof::Outcome::NotProven;
}

std::string_view law_code(const ask::LawCase& law) {
  return law.proof.outcome == ask::Proof::Outcome::Broken ? kLawBroken : kLawNotProven;
}

std::string what_is_wrong(const ask::LawCase& law) {
  if (law.proof.outcome != ask::Proof::Outcome::Broken) return "is not proven: " + law.proof.why;
  return fmt::format("is broken: {}: {}",
                     law.law->kind == policy::LawKind::Never ? "accepted" : "denied",
                     packet_and_rule(*law.proof.counterexample));
}

std::string what_is_wrong(const ask::TestFailure& failure) {
  return fmt::format("{}: {}", failure.wrong, packet_and_rule(failure.answer));
}

std::vector<ReportItem> items_of(const Report& report) {
  const Paths paths(report.policy);
  std::vector<ReportItem> items;
  const auto prints = policy::fingerprints_of(report.policy, report.findings);
  for (std::size_t i = 0; i < prints.size(); ++i) {
    const Diagnostic& finding = report.findings.all()[i];
    items.push_back({finding.severity, finding.code, paths.of(finding.span), finding.span.line,
                     finding.span.column, finding.message, finding.hint, prints[i].hash});
  }
  if (report.tests != nullptr) {
    add_tests(report, paths, items);
    add_laws(report, paths, items);
  }
  return items;
}

std::vector<ReportItem> worst_first(std::vector<ReportItem> items) {
  std::ranges::stable_sort(items, std::greater{}, &ReportItem::severity);
  return items;
}

}  // namespace rolewall::cli
