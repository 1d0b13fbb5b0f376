// Each key of each table with each value that is not of its type, alone and beside another such
// key: the reader says so, and looks at nothing that it refused.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "memory_site.h"
#include "policy/keys.h"

namespace rolewall::policy {
namespace {

constexpr const char* kHost = "[hosts.web-01]\nrole = \"web\"\naddresses = \"10.0.2.10\"\n";
constexpr std::string_view kValues[] = {
    "10",    "1.5",     "true", "2027-01-01", "07:32:00", "2027-03-01T00:00:00Z",
    "\"x\"", "[\"x\"]", "[10]", "[]",         "{}",       "[{}]"};

struct Table {
  std::string file;
  std::string header;  // "": the file's top
  Keys keys;
  std::vector<std::string> others = {};  // a line each, of a key that the table needs
};

std::vector<Table> tables() {
  const std::string web = "web.toml";
  const std::string site = "site.toml";
  const std::string block = "rules/own.toml";
  const std::vector<std::string> host{"role = \"web\"", "addresses = \"10.0.0.1\""};
  std::vector<Table> all = {
      {site, "", keys::kSiteFile},
      {site, "[site]", keys::kSite},
      {site, "[kinds]", keys::kKinds},
      {site, "[lint]", keys::kLint},
      {site, "[interfaces.a]", keys::kInterface},
      {site, "[hosts.a]", keys::kHost, host},
      {site, "[defaults]", keys::kDefaults},
      {site, "[defaults.log]", keys::kLog},
      {site, "[networks.a]", keys::kNetwork},
      {site, "[[test]]", keys::kTest},
      {site, "[[never]]", keys::kLaw, {"packets = \"http any > web-01\""}},
      {web, "", keys::kRoleFile, {"role = \"web\""}},
      {web, "[defaults]", keys::kDefaults},
      {web, "[[test]]", keys::kTest},
      {web, "[[always]]", keys::kLaw, {"packets = \"http any > self\""}},
      {block, "", keys::kBlockFile},
      {block, "[networks.a]", keys::kNetwork},
      {"rules/services.toml", "", keys::kServicesFile},
      {"rolewall.lock", "", keys::kLockFile},
  };
  for (const std::string& file : {web, block}) {
    all.push_back({file, "[[inbound]]", keys::kInbound, {"id = \"a\""}});
    all.push_back({file, "[[inbound]]", keys::kInbound, {"id = \"a\"", "early = true"}});
    all.push_back({file, "[[outbound]]", keys::kOutbound, {"id = \"a\""}});
    all.push_back({file, "[[forward]]", keys::kForward, {"id = \"a\"", "log = true"}});
    all.push_back({file, "[[nat]]", keys::kNat, {"id = \"a\"", "new-source = \"masquerade\""}});
  }
  return all;
}

struct Written {
  std::string_view key;
  std::string_view value;
};

MemorySite loaded(const Table& table, const std::vector<Written>& members) {
  const bool is_top = table.header.empty();
  std::string text = is_top ? "" : table.header + "\n";
  for (const std::string& line : table.others) {
    const bool replaced = std::ranges::any_of(members, [&](const Written& each) {
      return line.starts_with(fmt::format("{} ", each.key));
    });
    if (!replaced) text += line + "\n";
  }
  for (const auto& [key, value] : members) text += fmt::format("{} = {}\n", key, value);
  std::map<std::string, std::string> files{{"web.toml", "role = \"web\"\nuse = \"own\"\n"},
                                           {"rules/own.toml", "description = \"own\"\n"}};
  if (!is_top && table.file == "site.toml") files[table.file] = kHost;
  files[table.file] = is_top ? text : files[table.file] + text;
  return make_site(files);
}

bool is_of_type(KeyType type, std::string_view value) {
  Diagnostics diagnostics;
  const auto tree = parse_toml(fmt::format("key = {}\n", value), 0, diagnostics);
  REQUIRE(tree);
  return check_type(tree->members[0].value, type, "key", diagnostics);
}

bool is_refused(const MemorySite& site) {
  return std::ranges::any_of(site.diagnostics.all(), [](const Diagnostic& each) {
    return each.code == "wrong-type" || each.code == "empty-list";
  });
}

}  // namespace

TEST_CASE("a value that is not of its key's type is refused, whatever else the table has") {
  std::size_t refused = 0;
  for (const Table& table : tables()) {
    for (const Key& key : table.keys) {
      for (const std::string_view value : kValues) {
        const MemorySite site = loaded(table, {{key.name, value}});
        if (is_of_type(key.type, value)) continue;
        ++refused;
        CHECK_MESSAGE(is_refused(site), table.file, " ", table.header, " ", key.name, " = ", value);
      }
    }
  }
  CHECK(refused > 2000);
}

TEST_CASE("two values of wrong types in one table are two findings") {
  for (const Table& table : tables()) {
    for (const Key& one : table.keys) {
      for (const Key& other : table.keys) {
        if (one.name >= other.name) continue;
        const MemorySite site = loaded(table, {{one.name, "1.5"}, {other.name, "1.5"}});
        const auto count =
            std::ranges::count(site.diagnostics.all(), "wrong-type", &Diagnostic::code);
        CHECK_MESSAGE(count == 2, table.file, " ", table.header, " ", one.name, ", ", other.name);
      }
    }
  }
}

}  // namespace rolewall::policy
