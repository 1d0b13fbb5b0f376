// What a site makes of findings: allowed where they stand, weighed, chosen, known.
#include "policy/handling.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "memory_site.h"
#include "policy/codes.h"
#include "policy/lint.h"

namespace rolewall::policy {
namespace {

constexpr const char* kTwoRules = R"(role = "web"

[[inbound]]
service = "ssh"
{}
[[inbound]]
service = "mysql"

[[test]]
accept = "ssh any > self"
)";

MemorySite linted(const std::string& role, const std::string& site_keys = "",
                  const std::string& tables = "") {
  const std::string site = fmt::format(R"([site]
management = "office"
internal   = "office"
writers    = "web"
{}
{}
[networks]
office = ["198.51.100.0/24", "2001:db8:ff::/48"]

[hosts.web-01]
role      = "web"
addresses = ["10.0.2.10", "fd00::2:10"]

[hosts.web-02]
role      = "web"
addresses = ["10.0.2.11", "fd00::2:11"]
)",
                                       site_keys, tables);
  MemorySite made = make_site({{"web.toml", role}, {"site.toml", site}});
  REQUIRE(!made.diagnostics.has_errors());
  lint(made.policy, MemorySite::kToday, made.diagnostics);
  return made;
}

std::vector<std::string> shown(MemorySite& site, Handling handling = {}) {
  handle(site.policy, handling, site.diagnostics);
  return site.codes();
}

using Codes = std::vector<std::string>;
Handling complete() {
  Handling handling;
  handling.complete = true;
  return handling;
}

}  // namespace

TEST_CASE("a finding is allowed at its rule, in its file, and on the whole site") {
  auto plain = linted(fmt::format(kTwoRules, ""));
  CHECK(shown(plain, complete()) ==
        Codes{"web.toml:3:1 open-to-internet", "web.toml:6:1 open-to-internet"});
  auto rule = linted(fmt::format(kTwoRules, "allow-finding = { open-to-internet = \"keys\" }\n"));
  CHECK(shown(rule, complete()) == Codes{"web.toml:7:1 open-to-internet"});
  auto file =
      linted("allow-finding = { open-to-internet = \"a lab\" }\n" + fmt::format(kTwoRules, ""));
  CHECK(shown(file, complete()).empty());
  auto site =
      linted(fmt::format(kTwoRules, ""), "allow-finding = { open-to-internet = \"a lab\" }");
  CHECK(shown(site, complete()).empty());
}

TEST_CASE("an entry that silences nothing is a finding, once all was looked for") {
  const std::string role = fmt::format(
      kTwoRules, "allow-finding = { single-host = \"x\", management-limited = \"x\" }\n");
  auto site = linted(role);
  CHECK(shown(site, complete()) == Codes{"web.toml:3:1 open-to-internet",
                                         "web.toml:5:19 allows-nothing",
                                         "web.toml:7:1 open-to-internet"});
  auto incomplete = linted(role);
  CHECK(shown(incomplete).size() == 2);
  // What needs packets to be asked is missed by check alone.
  auto checked = linted(role);
  Handling asked = complete();
  asked.packets_asked = true;
  CHECK(shown(checked, asked).size() == 4);
}

TEST_CASE("levels weigh a finding for the site, and errors stay") {
  auto site =
      linted(fmt::format(kTwoRules, ""), "", "[lint]\nlevel = { open-to-internet = \"error\" }\n");
  CHECK(site.diagnostics.error_count() == 0);
  shown(site);
  CHECK(site.diagnostics.error_count() == 2);
  CHECK(site.diagnostics.warning_count() == 0);
  auto off =
      linted(fmt::format(kTwoRules, ""), "", "[lint]\nlevel = { open-to-internet = \"off\" }\n");
  CHECK(shown(off).empty());
}

TEST_CASE("codes are selected and ignored, errors never") {
  Handling handling;
  handling.select = {"single-host"};
  auto selected = linted(fmt::format(kTwoRules, ""));
  CHECK(shown(selected, handling).empty());
  handling.select = {"open-to-internet"};
  handling.ignore = {"open-to-internet"};
  auto ignored = linted(fmt::format(kTwoRules, ""));
  CHECK(shown(ignored, handling).empty());
  auto wrong = make_site({{"web.toml", "role = \"web\"\nwrong = 1\n"}});
  CHECK(shown(wrong, handling) == Codes{"web.toml:2:1 unknown-key"});
}

TEST_CASE("a baseline knows a finding by what it is about, wherever it stands") {
  auto first = linted(fmt::format(kTwoRules, ""));
  std::map<std::string, std::size_t> known;
  for (const Fingerprint& print : fingerprints_of(first.policy, first.diagnostics)) {
    CHECK(print.file == "web.toml");
    ++known[print.hash];
  }
  REQUIRE(known.size() == 2);
  Handling handling;
  handling.baseline = &known;
  // Lines above move it; another rule is another finding.
  auto moved = linted("\n\n" + fmt::format(kTwoRules, "limit = \"9/minute\"\n") +
                      "\n[[inbound]]\nid = \"more\"\nservice = \"mysql\"\nfrom = \"internet\"\n");
  const Silenced silenced = handle(moved.policy, handling, moved.diagnostics);
  CHECK(silenced.in_baseline == 2);
  CHECK(silenced.gone == 0);
  REQUIRE(moved.codes().size() == 1);
  CHECK(moved.diagnostics.all()[0].message.starts_with("web.inbound.more "));
  auto clean = linted("role = \"web\"\n");
  CHECK(handle(clean.policy, handling, clean.diagnostics).gone == 2);
}

}  // namespace rolewall::policy
