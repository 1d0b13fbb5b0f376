// docs/findings: every finding in policies has a page, of one form, and its examples are tried: the
// bad one gives the finding, the good one does not. (Of errors some examples are no files of a
// site.)
//
// An example changes page_site/. Its files begin with "# web.toml"; one that names its role is the
// whole file, in site.toml a table takes the place of the one of its name, all else is added.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>
#include <vector>

#include "base/file.h"
#include "memory_site.h"
#include "policy/codes.h"
#include "policy/handling.h"
#include "policy/lint.h"

namespace rolewall::policy {
namespace {

constexpr std::size_t kLargest = 1U << 20;
const std::string kRoot = SOURCE_ROOT;
const std::vector<std::string> kTitles = {"What can happen", "How to mend it",
                                          "When it is right as it is", "Bad", "Good"};
const std::vector<std::string> kTitlesOfErrors = {"How to mend it", "Bad", "Good"};

std::string content_of(const std::string& path) {
  const auto text = read_file(path, kLargest);
  REQUIRE_MESSAGE(text, path);
  return *text;
}

std::string page_path(std::string_view code) {
  return fmt::format("{}/docs/findings/{}.md", kRoot, code);
}

// Title and text, in order.
std::vector<std::pair<std::string, std::string>> sections_of(const std::string& page) {
  std::vector<std::pair<std::string, std::string>> sections;
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with("## ")) {
      sections.emplace_back(line.substr(3), "");
    } else if (!sections.empty()) {
      sections.back().second += line + "\n";
    }
  }
  return sections;
}

using FileTexts = std::map<std::string, std::string>;

FileTexts example_files(const std::string& section) {
  FileTexts files;
  std::string name;
  for (std::string line : lines_of(section)) {
    if (line.starts_with("    ")) line = line.substr(4);
    if (line.starts_with("# ") && line.ends_with(".toml")) {
      name = line.substr(2);
    } else if (!name.empty()) {
      files[name] += line + "\n";
    }
  }
  return files;
}

std::vector<std::string> tables_of(const std::string& text) {
  std::vector<std::string> tables = {""};
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with('[')) tables.emplace_back();
    tables.back() += line + "\n";
  }
  return tables;
}

std::string header_of(const std::string& table) {
  return table.substr(0, table.find('\n'));
}

// The example's tables in place of the site's of the same name.
std::string merged(const std::string& base, const std::string& example) {
  std::vector<std::string> tables = tables_of(base);
  for (const std::string& table : tables_of(example)) {
    const auto same = std::ranges::find_if(tables, [&](const std::string& each) {
      return each.starts_with('[') && header_of(each) == header_of(table);
    });
    if (same != tables.end()) {
      *same = table;
    } else {
      tables.push_back(table);
    }
  }
  std::string text;
  for (const std::string& table : tables) text += table;
  return text;
}

FileTexts base_files() {
  FileTexts files;
  for (const char* name : {"site.toml", "lb.toml", "web.toml", "db.toml"}) {
    files[name] = content_of(kRoot + "/tests/unit/policy/page_site/" + name);
  }
  for (const auto& entry : std::filesystem::directory_iterator(kRoot + "/rules")) {
    if (entry.path().extension() != ".toml") continue;
    files["shipped/" + entry.path().filename().string()] = content_of(entry.path().string());
  }
  return files;
}

// Top-level keys stand before the first table.
std::string with_added(const std::string& base, const std::string& example) {
  const std::vector<std::string> tables = tables_of(example);
  const std::size_t first = base.find('[');
  std::string text = base.substr(0, first) + tables[0] + base.substr(first);
  for (std::size_t i = 1; i < tables.size(); ++i) text += "\n" + tables[i];
  return text;
}

MemorySite site_of(const std::string& section) {
  FileTexts files = base_files();
  for (const auto& [name, text] : example_files(section)) {
    if (name == "site.toml") {
      files[name] = merged(files[name], text);
    } else if (text.find("role ") == std::string::npos && files.contains(name)) {
      files[name] = with_added(files[name], text);
    } else {
      files[name] = text;
    }
  }
  LoadOptions options;
  options.expired_is_error = true;
  options.refreshed["gone.example"] = {};  // no server has answered for it
  MemorySite site = make_site(files, options);
  if (!site.diagnostics.has_errors()) {
    lint(site.policy, MemorySite::kToday, site.diagnostics);
    Handling handling;
    handling.complete = true;
    handle(site.policy, handling, site.diagnostics);
  }
  return site;
}

bool finds(const MemorySite& site, std::string_view code) {
  return std::ranges::any_of(site.diagnostics.all(),
                             [&](const Diagnostic& finding) { return finding.code == code; });
}

std::string found_in(const MemorySite& site) {
  std::string all;
  for (const std::string& each : site.codes()) all += "\n  " + each;
  return all;
}

}  // namespace

TEST_CASE("every finding has its page, and its examples are right") {
  const MemorySite plain = site_of("");
  CHECK_MESSAGE(plain.diagnostics.all().empty(), found_in(plain));
  for (const CodeRow& row : code_table()) {
    INFO(row.word);
    const bool is_error = !may_be_silenced(row);
    const auto& titles = is_error ? kTitlesOfErrors : kTitles;
    const auto sections = sections_of(content_of(page_path(row.word)));
    REQUIRE(sections.size() == titles.size());
    for (std::size_t i = 0; i < titles.size(); ++i) {
      CHECK(sections[i].first == titles[i]);
      CHECK(sections[i].second.size() > 5);
    }
    const std::string& example = sections[titles.size() - 2].second;
    if (is_error && example_files(example).empty()) continue;
    const MemorySite bad = site_of(example);
    const MemorySite good = site_of(sections.back().second);
    CHECK_MESSAGE(bad.diagnostics.has_errors() == is_error, "bad:", found_in(bad));
    CHECK_MESSAGE(!good.diagnostics.has_errors(), "good:", found_in(good));
    if (needs_packets(row.code)) continue;  // tests/unit/ask has them
    CHECK_MESSAGE(finds(bad, row.word), "bad:", found_in(bad));
    CHECK_MESSAGE(!finds(good, row.word), "good:", found_in(good));
  }
}

}  // namespace rolewall::policy
