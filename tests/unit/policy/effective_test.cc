#include "policy/effective.h"

#include <doctest/doctest.h>

#include "memory_site.h"

namespace rolewall::policy {
namespace {

std::string inbound(const MemorySite& site, std::string_view host, Date date = MemorySite::kToday) {
  const HostPolicy policy = effective_policy(site.policy, *find_host(site.policy, host), date);
  std::string out;
  for (const EffectiveRule& rule : policy.inbound) out += rule.rule->full_name + " ";
  return out;
}

}  // namespace

TEST_CASE("blocks in the order of use, then the role's own, then the next role's") {
  const MemorySite site = make_site(
      {{"site.toml",
        "[hosts.both]\nrole = [\"web\", \"db\"]\naddresses = \"10.0.0.1\"\n"
        "[hosts.other]\nrole = [\"db\", \"web\"]\naddresses = \"10.0.0.2\"\n"},
       {"web.toml", "role = \"web\"\nuse = [\"a\", \"b\"]\n[[inbound]]\nservice = \"http\"\n"},
       {"db.toml", "role = \"db\"\nuse = [\"c\", \"a\"]\n[[inbound]]\nservice = \"mysql\"\n"},
       {"rules/a.toml", "inbound = { service = \"ssh\" }"},
       {"rules/b.toml", "inbound = { service = \"ping\" }"},
       {"rules/c.toml", "inbound = { service = \"ndp\" }"}});
  CHECK(site.codes().empty());
  CHECK(inbound(site, "both") ==
        "a.inbound.ssh b.inbound.ping web.inbound.http c.inbound.ndp db.inbound.mysql ");
  CHECK(inbound(site, "other") ==
        "c.inbound.ndp a.inbound.ssh db.inbound.mysql b.inbound.ping web.inbound.http ");
}

TEST_CASE("what one role skips is left out, whichever uses the block") {
  const MemorySite site =
      make_site({{"site.toml",
                  "[hosts.both]\nrole = [\"web\", \"db\"]\naddresses = \"10.0.0.1\"\n"
                  "[hosts.one]\nrole = \"db\"\naddresses = \"10.0.0.2\"\n"},
                 {"web.toml", "role = \"web\"\nuse = \"a\"\nskip = \"a.inbound.ping\"\n"},
                 {"db.toml", "role = \"db\"\nuse = \"a\"\n"},
                 {"rules/a.toml", "inbound = [ { service = \"ssh\" }, { service = \"ping\" } ]"}});
  CHECK(site.codes().empty());
  CHECK(inbound(site, "both") == "a.inbound.ssh ");
  CHECK(inbound(site, "one") == "a.inbound.ssh a.inbound.ping ");
}

TEST_CASE("disabled, expired, on other hosts, or without the interface: left out") {
  const MemorySite site = make_site({{"site.toml", R"(
[hosts.web-01]
role       = "web"
tags       = "first"
addresses  = "10.0.0.1"
interfaces = { public = "eth0" }

[hosts.web-02]
role       = "web"
addresses  = "10.0.0.2"
interfaces = { private = "eth0" }
)"},
                                     {"web.toml", R"(
role = "web"
inbound = [
  { id = "disabled", enabled = false },
  { id = "dated",   expires = 2026-12-31 },
  { id = "tagged",  on = "first" },
  { id = "not-first", on = "!web-01" },
  { id = "public",  in = "public" },
  { id = "either",  in = ["public", "private"] },
]
)"}});
  CHECK(site.codes().empty());
  CHECK(inbound(site, "web-01") ==
        "web.inbound.dated web.inbound.tagged web.inbound.public web.inbound.either ");
  CHECK(inbound(site, "web-02") == "web.inbound.dated web.inbound.not-first web.inbound.either ");
  const Date last{std::chrono::year(2026), std::chrono::month(12), std::chrono::day(30)};
  const Date day{std::chrono::year(2026), std::chrono::month(12), std::chrono::day(31)};
  CHECK(inbound(site, "web-01", last).starts_with("web.inbound.dated"));
  CHECK(!inbound(site, "web-01", day).starts_with("web.inbound.dated"));
}

TEST_CASE("a rule from an unset management is left out, never from anywhere") {
  const MemorySite site =
      make_site({{"site.toml", "[hosts.web-01]\nrole = \"web\"\naddresses = \"10.0.0.1\"\n"},
                 {"web.toml",
                  "role = \"web\"\n[[inbound]]\nservice = \"ssh\"\nfrom = \"management\"\n"
                  "[[inbound]]\nservice = \"http\"\nfrom = [\"management\", \"web\"]\n"}});
  CHECK(site.codes() == std::vector<std::string>{"web.toml:4:9 management-unset",
                                                 "web.toml:7:10 management-unset"});
  CHECK(inbound(site, "web-01") == "web.inbound.http ");
  const Rule& http = site.file("web").rules[1];
  CHECK(addresses_of(site.policy, http.conditions.from, 0) == site.file("web").addresses);
}

TEST_CASE("a role's defaults override the site's, key by key") {
  const MemorySite site =
      make_site({{"site.toml",
                  "[defaults]\ninbound = \"reject\"\nmode = \"audit\"\n"
                  "[hosts.both]\nrole = [\"web\", \"db\"]\naddresses = \"10.0.0.1\"\n"
                  "[hosts.one]\nrole = \"db\"\naddresses = \"10.0.0.2\"\n"},
                 {"web.toml", "role = \"web\"\n[defaults]\nmode = \"enforce\"\n"},
                 {"db.toml", "role = \"db\"\n[defaults]\noutbound = \"accept\"\n"}});
  CHECK(site.codes().empty());
  const Defaults both = effective_policy(site.policy, 0, MemorySite::kToday).defaults;
  CHECK(both.inbound == Action::Reject);
  CHECK(both.outbound == Action::Accept);
  CHECK(both.mode == Mode::Enforce);
  CHECK(effective_policy(site.policy, 1, MemorySite::kToday).defaults.mode == Mode::Audit);
}

TEST_CASE("a thousand hosts and ten thousand rules are a fraction of a second") {
  std::map<std::string, std::string> files;
  std::string hosts;
  for (int i = 0; i < 1000; ++i) {
    hosts += fmt::format(
        "[hosts.h{}]\nrole = \"r{}\"\ntags = \"t{}\"\n"
        "addresses = [\"10.0.{}.{}\", \"fd00::{:x}\"]\n",
        i, i % 20, i % 7, i / 250, i % 250, i + 1);
  }
  files["site.toml"] = hosts;
  for (int r = 0; r < 20; ++r) {
    std::string text = fmt::format("role = \"r{}\"\n", r);
    for (int i = 0; i < 500; ++i) {
      text += fmt::format(
          "[[inbound]]\nid = \"x{}\"\nservice = \"tcp/{}\"\n"
          "from = [\"r{}\", \"!h{}\"]\non = \"t{}\"\n",
          i, i + 1, i % 20, i, i % 7);
    }
    files[fmt::format("r{}.toml", r)] = std::move(text);
  }
  files["web.toml"] = "role = \"web\"\n";
  const MemorySite site = make_site(std::move(files));
  CHECK(site.codes() == std::vector<std::string>{"web.toml:1:8 unused-role"});
  // 500 rules, of which a seventh is for the tag of the host.
  const HostPolicy policy = effective_policy(site.policy, 3, MemorySite::kToday);
  CHECK(policy.inbound.size() == 71);
}

}  // namespace rolewall::policy
