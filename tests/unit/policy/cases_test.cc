// tests/cases/policy-errors: one file for each kind of bad input, with every finding that it must
// give, and no other: its code, its place, its text, its hint and the places of its notes.
//
//     about = "a rule names an interface that no host has"
//     [options]                  optional: expired-is-error, locking, lint, unanswered
//     (gone.example) [files]                    over those of memory_site.h "web.toml" = '''...'''
//     [[finding]]
//     at      = "web.toml:4:8"
//     code    = "unknown-interface"
//     message = "..."
//     hint    = "..."            left out: none
//     notes   = ["site.toml:3:1"]
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

#include "base/file.h"
#include "memory_site.h"
#include "policy/codes.h"
#include "policy/keys.h"
#include "policy/lint.h"
#include "policy/toml_file.h"

namespace rolewall::policy {
namespace {

std::string literal(const std::string& text) {
  if (text.find('\'') == std::string::npos) return "'" + text + "'";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// As a case writes it, so that a new case's findings can be read and pasted.
std::string finding(const MemorySite& site, const Diagnostic& diagnostic) {
  std::ostringstream out;
  out << "\n[[finding]]\nat      = \"" << site.at(diagnostic.span) << "\"\ncode    = \""
      << diagnostic.code << "\"\nmessage = " << literal(diagnostic.message) << "\n";
  if (!diagnostic.hint.empty()) out << "hint    = " << literal(diagnostic.hint) << "\n";
  if (!diagnostic.notes.empty()) {
    out << "notes   = [";
    for (std::size_t i = 0; i < diagnostic.notes.size(); ++i) {
      out << (i > 0 ? ", " : "") << '"' << site.at(diagnostic.notes[i].span) << '"';
    }
    out << "]\n";
  }
  return out.str();
}

std::string finding(const Value& table) {
  const auto text = [&](const char* key) {
    const Member* member = table.find(key);
    return member == nullptr ? std::string() : member->value.text;
  };
  std::ostringstream out;
  out << "\n[[finding]]\nat      = \"" << text("at") << "\"\ncode    = \"" << text("code")
      << "\"\nmessage = " << literal(text("message")) << "\n";
  if (!text("hint").empty()) out << "hint    = " << literal(text("hint")) << "\n";
  if (const Member* notes = table.find("notes")) {
    out << "notes   = [";
    const auto items = items_of(notes->value);
    for (std::size_t i = 0; i < items.size(); ++i) {
      out << (i > 0 ? ", " : "") << '"' << items[i].text << '"';
    }
    out << "]\n";
  }
  return out.str();
}

Value read_case(const std::filesystem::path& path) {
  const auto text = read_file(path.string(), kLargestPolicyFile);
  REQUIRE(text);
  Diagnostics diagnostics;
  auto tree = parse_toml(*text, 0, diagnostics);
  REQUIRE_MESSAGE(tree, path.string());
  return std::move(*tree);
}

bool option(const Value& tree, const char* key) {
  const Member* options = tree.find("options");
  const Member* member = options == nullptr ? nullptr : options->value.find(key);
  return member != nullptr && member->value.boolean;
}

std::vector<std::filesystem::path> cases() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(POLICY_ERRORS)) {
    CHECK_MESSAGE(entry.path().extension() == ".toml", entry.path().string(), " is not run");
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

TEST_CASE("each kind of bad input is reported at its place, and nothing else is") {
  const auto paths = cases();
  REQUIRE(paths.size() > 50);
  for (const auto& path : paths) {
    const Value tree = read_case(path);
    std::map<std::string, std::string> files;
    REQUIRE(tree.find("about") != nullptr);
    REQUIRE(tree.find("files") != nullptr);
    for (const Member& file : tree.find("files")->value.members) {
      files[file.key] = file.value.text;
    }
    LoadOptions options;
    options.expired_is_error = option(tree, "expired-is-error");
    options.locking = option(tree, "locking");
    if (option(tree, "unanswered")) options.refreshed["gone.example"] = {};
    MemorySite site = make_site(files, options);
    if (option(tree, "lint")) lint(site.policy, MemorySite::kToday, site.diagnostics);

    std::string wanted;
    if (const Member* findings = tree.find("finding")) {
      for (const Value& table : items_of(findings->value)) wanted += finding(table);
    }
    std::string found;
    for (const Diagnostic& each : site.diagnostics.all()) found += finding(site, each);
    CHECK_MESSAGE(found == wanted, path.filename().string(), "\n--- found:", found,
                  "\n--- wanted:", wanted);
  }
}

TEST_CASE("every code has a case") {
  std::set<std::string> seen;
  for (const auto& path : cases()) {
    const Value tree = read_case(path);
    const Member* findings = tree.find("finding");
    if (findings == nullptr) continue;
    for (const Value& table : items_of(findings->value)) {
      seen.insert(table.find("code")->value.text);
    }
  }
  // These need files that no memory holds: files_test.cc has them.
  seen.insert("invalid-utf8");
  // Of these the example of each page is tried: finding_pages_test.cc.
  for (const CodeRow& row : code_table()) {
    if (may_be_silenced(row)) seen.insert(std::string(row.word));
  }
  // These are of packets that are asked about: tests/unit/ask has them.
  for (const char* word : {"no-sample", "not-an-end", "too-many-samples", "block-tests-not-run",
                           "management-shut-out", "neighbours-shut-out", "management-limited"}) {
    seen.insert(word);
  }
  for (const CodeRow& row : code_table()) {
    CHECK_MESSAGE(seen.contains(std::string(row.word)), row.word);
  }
}

// "| `unused-role` | warning: no host has this role |"
std::string row_in_reference(const CodeRow& row) {
  const std::string severity =
      row.severity == Severity::Error ? "" : std::string(name_of(row.severity)) + ": ";
  return fmt::format("\n| `{}` | {}{} |\n", row.word, severity, row.meaning);
}

TEST_CASE("every code is in the language's reference, with the registry's sentence") {
  const auto text = read_file(std::string(SOURCE_ROOT) + "/docs/policy-language.md", 1u << 20);
  REQUIRE(text);
  for (const CodeRow& row : code_table()) {
    CHECK_MESSAGE(text->find(row_in_reference(row)) != std::string::npos, row.word);
  }
}

}  // namespace rolewall::policy
