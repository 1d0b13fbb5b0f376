#include "observe/finding.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>
#include <string>

#include "base/file.h"
#include "observe/other_machine.h"

namespace rolewall::observe {
namespace {

TEST_CASE("docs/json.md has each code's sentence, and no other code") {
  const auto page = read_file(std::string(SOURCE_ROOT) + "/docs/json.md", 1U << 20);
  REQUIRE(page);
  const std::string heading = "| code | when |\n|---|---|\n";
  const auto begin = page->find(heading);
  REQUIRE(begin != std::string::npos);
  const auto end = page->find("\n\n", begin);
  std::string wanted = heading;
  for (const CodeRow& row : code_table()) {
    wanted += fmt::format("| `{}` | {} |\n", row.word, row.meaning);
  }
  CHECK(page->substr(begin, end + 1 - begin) == wanted);
}

TEST_CASE("a code is found by its word, and words are different") {
  std::set<std::string_view> words;
  for (const CodeRow& row : code_table()) {
    words.insert(row.word);
    CHECK(find_code(row.word) == &row);
    CHECK(name_of(row.code) == row.word);
  }
  CHECK(words.size() == code_table().size());
  CHECK(find_code("unknown-key") == nullptr);
}

TEST_CASE("another machine has neither the host's name nor an address of it") {
  ruleset::Host host;
  host.name = "web-01";
  host.addresses = {*net::parse_prefix("10.0.2.10"), *net::parse_prefix("fd00::10")};
  host.virtual_addresses = {*net::parse_prefix("10.0.2.9")};
  ruleset::Host machine;
  machine.addresses = {*net::parse_prefix("192.0.2.1")};
  CHECK(!other_machine(host, machine, "web-01"));
  CHECK(!other_machine(host, machine, "web-01.example.net"));
  const auto found = other_machine(host, machine, "db-01");
  REQUIRE(found);
  CHECK(found->code == Code::OtherMachine);
  CHECK(found->what.find("machine is called db-01") != std::string::npos);
  machine.addresses.push_back(*net::parse_prefix("10.0.2.9"));
  CHECK(!other_machine(host, machine, "db-01"));
}

}  // namespace
}  // namespace rolewall::observe
