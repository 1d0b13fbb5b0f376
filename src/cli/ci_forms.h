// What was checked, in the forms that CI systems read. Each ends with a line break.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "cli/finding_options.h"
#include "cli/terminal.h"

namespace rolewall::cli {

// A finding, or a test's or law's line of words that does not hold, as every form has it.
struct ReportItem {
  Severity severity = Severity::Error;
  std::string code;
  std::string path;  // relative to the repository's root, where there is one; else as it was named
  std::uint32_t line = 0;  // 0: the whole file
  std::uint32_t column = 0;
  std::string message;
  std::string hint;
  std::string fingerprint;
};

// Codes of what is no finding of the policy's, but of a test or a law.
inline constexpr std::string_view kTestFailed = "test-failed";
inline constexpr std::string_view kTestNotProven = "test-not-proven";
inline constexpr std::string_view kLawBroken = "law-broken";
inline constexpr std::string_view kLawNotProven = "law-not-proven";
struct JudgedCode {
  std::string_view word;
  std::string_view meaning;
  Severity severity = Severity::Error;
};
inline constexpr std::array<JudgedCode, 4> kJudgedCodes{{
    {kTestFailed, "a test of the policies does not hold", Severity::Error},
    {kTestNotProven, "a test is neither proven for every packet nor refuted", Severity::Warning},
    {kLawBroken, "a law of the policies does not hold for every packet", Severity::Error},
    {kLawNotProven, "a law is neither proven for every packet nor refuted", Severity::Error},
}};

// Of a law about one host, or about both ends. A law that is not proven is an error, too.
bool is_wrong(const ask::LawCase& law);
// REQUIRES: is_wrong().
std::string_view law_code(const ask::LawCase& law);
std::string what_is_wrong(const ask::LawCase& law);
// "is accepted: tcp 10.0.1.1:40000 > 10.0.2.1:8080 by web.inbound.app, web.toml:5".
std::string what_is_wrong(const ask::TestFailure& failure);

// In the order of the text form.
std::vector<ReportItem> items_of(const Report& report);
// The worst first, else in their order.
std::vector<ReportItem> worst_first(std::vector<ReportItem> items);

std::string sarif(const Report& report);               // SARIF 2.1.0
std::string junit(const Report& report);               // JUnit XML, as Jenkins' xunit reads it
std::string github_annotations(const Report& report);  // workflow commands
std::string markdown(const Report& report);            // a step summary
std::string gitlab(const Report& report);              // code quality

}  // namespace rolewall::cli
