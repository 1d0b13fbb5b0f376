// `explain CODE` prints a page of each finding, of `check` and of `status`. (The pages' examples:
// unit/policy/finding_pages_test.cc.)
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/ci_forms.h"
#include "cli/finding_pages.h"
#include "observe/finding.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

std::vector<std::string> titles_of(std::string_view page) {
  constexpr std::string_view kMark = "## ";
  std::vector<std::string> titles;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t end = std::min(page.find('\n', at), page.size());
    const std::string_view line = page.substr(at, end - at);
    if (line.starts_with(kMark)) titles.emplace_back(line.substr(kMark.size()));
    at = end + 1;
  }
  return titles;
}

}  // namespace

TEST_CASE("each finding has a page, and of those without an example all have one form") {
  for (const policy::CodeRow& row : policy::code_table()) {
    CHECK_MESSAGE(!finding_page(row.word).empty(), row.word);
  }
  const std::vector<std::string> form = {"What can happen", "How to mend it",
                                         "When it is right as it is"};
  for (const observe::CodeRow& row : observe::code_table()) {
    CHECK_MESSAGE(titles_of(finding_page(row.word)) == form, row.word);
  }
  for (const JudgedCode& row : kJudgedCodes) {
    CHECK_MESSAGE(titles_of(finding_page(row.word)) == form, row.word);
  }
  CHECK(finding_page("nonsense").empty());
}

TEST_CASE("every page is of a finding") {
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(SOURCE_ROOT) + "/docs/findings")) {
    if (entry.path().extension() != ".md") continue;
    const std::string code = entry.path().stem().string();
    const bool is_known =
        policy::find_code(code) != nullptr || observe::find_code(code) != nullptr ||
        std::ranges::find(kJudgedCodes, code, &JudgedCode::word) != kJudgedCodes.end();
    CHECK_MESSAGE(is_known, code);
  }
}

}  // namespace rolewall::cli
