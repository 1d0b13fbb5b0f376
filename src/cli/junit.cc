// JUnit XML as Jenkins' xunit plugin describes it (junit-10.xsd): a suite of the findings, and one
// of the policies' tests, a case for each [[test]].
#include <fmt/format.h>

#include <map>
#include <vector>

#include "ask/answer.h"
#include "cli/ci_forms.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

// XML 1.0 has no way to write most control characters.
std::string xml(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\t':
        out += "&#9;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string place_of(const ReportItem& item) {
  if (item.line == 0) return item.path;
  return fmt::format("{}:{}:{}", item.path, item.line, item.column);
}

bool fails(const Report& report, const ReportItem& item) {
  return item.severity == Severity::Error || (report.strict && item.severity == Severity::Warning);
}

struct Suite {
  std::string name;
  std::string cases;
  std::size_t count = 0;
  std::size_t failures = 0;

  void add(std::string_view where, std::string_view what, const std::string& content, bool failed) {
    cases +=
        fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"0\"", xml(where), xml(what));
    cases += content.empty() ? "/>\n" : ">\n" + content + "    </testcase>\n";
    ++count;
    if (failed) ++failures;
  }
  std::string text() const {
    return fmt::format(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"0\" "
        "time=\"0\">\n{}  </testsuite>\n",
        name, count, failures, cases);
  }
};

std::string failure(std::string_view type, std::string_view message, std::string_view text) {
  return fmt::format("      <failure type=\"{}\" message=\"{}\">{}</failure>\n", xml(type),
                     xml(message), xml(text));
}

void add_line(std::string& text, const std::string& line) {
  text += (text.empty() ? "" : "\n") + line;
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

std::string said(std::string_view text) {
  return fmt::format("      <system-out>{}</system-out>\n", xml(text));
}

Suite findings_suite(const Report& report, const std::vector<ReportItem>& items) {
  Suite suite{"rolewall findings", "", 0, 0};
  for (const ReportItem& item : items) {
    if (!policy::find_code(item.code)) continue;  // a test's or a law's, in a suite of its own
    const std::string text =
        place_of(item) + ": " + item.message + (item.hint.empty() ? "" : " (" + item.hint + ")");
    const bool failed = fails(report, item);
    suite.add(item.path, item.code + ": " + item.message,
              failed ? failure(item.code, item.message, text) : said(text), failed);
  }
  if (suite.count == 0) suite.add("rolewall", "no findings", "", false);
  return suite;
}

Suite tests_suite(const Report& report) {
  const ask::TestReport& tests = *report.tests;
  std::map<std::size_t, std::string> wrong;  // by test case
  for (const ask::TestFailure& each : tests.failures) {
    wrong.emplace(each.test_case, what_is_wrong(each));
  }
  std::vector<const policy::Test*> order;
  std::map<const policy::Test*, std::pair<std::string, std::string>> by_test;  // failed; doubts
  for (std::size_t i = 0; i < tests.cases.size(); ++i) {
    const ask::TestCase& test_case = tests.cases[i];
    if (!by_test.contains(test_case.test)) order.push_back(test_case.test);
    auto& [failed, doubts] = by_test[test_case.test];
    const policy::PacketWords& words = test_case.packet->words;
    const std::string line =
        fmt::format("{}: {} \"{}\"{}", report.policy.sources.format(words.span),
                    ask::name_of(test_case.packet->expected), words.text,
                    test_case.host ? " on " + report.policy.hosts[*test_case.host].name : "");
    if (const auto at = wrong.find(i); at != wrong.end()) add_line(failed, line + " " + at->second);
    if (const auto at = tests.not_proven.find(i); at != tests.not_proven.end()) {
      add_line(doubts, line + " is not proven: " + at->second);
    }
  }
  Suite suite{"rolewall tests", "", 0, 0};
  for (const policy::Test* test : order) {
    const auto& [failed, doubts] = by_test[test];
    const std::string where = report.policy.sources.path(test->span.file);
    const std::string name =
        test->name.empty() ? report.policy.sources.format(test->span) : test->name;
    if (!failed.empty()) {
      suite.add(where, name, failure(kTestFailed, first_line(failed), failed), true);
    } else if (!doubts.empty()) {
      suite.add(where, name,
                report.strict ? failure(kTestNotProven, first_line(doubts), doubts) : said(doubts),
                report.strict);
    } else {
      suite.add(where, name, "", false);
    }
  }
  return suite;
}

Suite laws_suite(const Report& report) {
  std::vector<const policy::Law*> order;
  std::map<const policy::Law*, std::string> wrong;
  for (const ask::LawCase& law : report.tests->laws) {
    if (!wrong.contains(law.law)) order.push_back(law.law);
    std::string& text = wrong[law.law];
    if (is_wrong(law)) {
      add_line(text, fmt::format("{}: \"{}\" {}", report.policy.sources.format(law.words->span),
                                 law.words->text, what_is_wrong(law)));
    }
  }
  Suite suite{"rolewall laws", "", 0, 0};
  for (const policy::Law* law : order) {
    const std::string& text = wrong[law];
    suite.add(report.policy.sources.path(law->span.file),
              law->name.empty() ? report.policy.sources.format(law->span) : law->name,
              text.empty() ? "" : failure(kLawBroken, first_line(text), text), !text.empty());
  }
  return suite;
}

}  // namespace

std::string junit(const Report& report) {
  std::vector<Suite> suites = {findings_suite(report, items_of(report))};
  if (report.tests != nullptr && !report.tests->cases.empty())
    suites.push_back(tests_suite(report));
  if (report.tests != nullptr && !report.tests->laws.empty()) suites.push_back(laws_suite(report));
  std::size_t count = 0;
  std::size_t failures = 0;
  std::string text;
  for (const Suite& suite : suites) {
    count += suite.count;
    failures += suite.failures;
    text += suite.text();
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"rolewall {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"0\">\n"
      "{}</testsuites>\n",
      report.verb, count, failures, text);
}

}  // namespace rolewall::cli
