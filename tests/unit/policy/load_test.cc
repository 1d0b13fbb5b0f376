// What a site's files mean once they are resolved.
#include "policy/load.h"
#include "net/known_addresses.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "memory_site.h"

namespace rolewall::policy {
namespace {

const Network& network(const MemorySite& site, std::string_view name) {
  for (const Network& each : site.policy.networks) {
    if (each.name == name) return each;
  }
  throw std::string("no such network");
}

std::string text_of(const Selectors& selectors) {
  std::string out = selectors.given ? "" : "-";
  for (const Selector& item : selectors.items) {
    out += (item.negated ? "!" : "") + item.term.text + ",";
  }
  return out;
}

// All that a rule says, but for places.
std::string text_of(const Rule& rule) {
  std::string out = rule.full_name;
  const auto& [services, from, to, in, interface_out, user] = rule.conditions;
  for (const ServiceLiteral& literal : services.literals) out += " " + literal.text;
  out += " from " + text_of(from) + " to " + text_of(to) + " on " +
         text_of(rule.on.value_or(Selectors()));
  for (const std::string& name : in) out += " in " + name;
  for (const std::string& name : interface_out) out += " out " + name;
  if (user) out += fmt::format(" user {}", *user);
  out += fmt::format(" {} {} {} {} {}", static_cast<int>(rule.action), rule.early, rule.log,
                     rule.connections.value_or(0), rule.limit ? rule.limit->count : 0);
  return out;
}

std::vector<std::string> rules_of(const MemorySite& site, std::string_view file) {
  std::vector<std::string> out;
  for (const Rule& rule : site.file(file).rules) out.push_back(text_of(rule));
  return out;
}

constexpr const char* kTwoHosts = R"(
[hosts.web-01]
role      = "web"
tags      = "first"
addresses = ["10.0.2.10", "fd00::2:10"]
virtual   = "10.0.2.1"

[hosts.web-02]
role      = "web"
addresses = "10.0.2.11"
virtual   = "10.0.2.1"
)";

}  // namespace

TEST_CASE("any TOML spelling of the same data is the same policy") {
  const char* const spellings[] = {
      "role = \"web\"\n[[inbound]]\nservice = \"https\"\nfrom = \"office\"\n[[inbound]]\n"
      "service = \"ssh\"\nlog = true\n",
      "role = 'web'\n[[inbound]]\nservice = [\"https\"]\nfrom = [ 'office' ]\n[[inbound]]\n"
      "service = \"\"\"ssh\"\"\"\nlog = true\n",
      "role = \"web\"\ninbound = [ { service = \"https\", from = \"office\" },\n"
      "  { log = true, service = \"s\\u0073h\" } ]\n",
      "\"role\" = \"web\"\n[[inbound]]\n'from' = \"office\"\n\"service\" = \"https\"\n[[inbound]]\n"
      "log = true\nservice = \"ssh\"\n[[outbound]]\nservice = \"dns\"\nenabled = false\n",
  };
  const MemorySite first = make_site({{"web.toml", spellings[0]}});
  CHECK(first.codes().empty());
  REQUIRE(rules_of(first, "web").size() == 2);
  for (const char* spelling : spellings) {
    const MemorySite site = make_site({{"web.toml", spelling}});
    CHECK(site.codes().empty());
    auto rules = rules_of(site, "web");
    rules.resize(2);
    CHECK(rules == rules_of(first, "web"));
  }
  const MemorySite single =
      make_site({{"web.toml", "role = \"web\"\ninbound = { service = \"ssh\" }\n"}});
  const MemorySite dotted =
      make_site({{"web.toml", "role = \"web\"\ninbound.service = \"ssh\"\n"}});
  CHECK(single.codes().empty());
  CHECK(rules_of(single, "web") == rules_of(dotted, "web"));
}

TEST_CASE("a site spelled with inline tables is the same site") {
  const MemorySite site =
      make_site({{"site.toml",
                  "site = { management = \"office\" }\nnetworks.office = \"198.51.100.0/24\"\n"
                  "hosts = { web-01 = { role = \"web\", addresses = \"10.0.2.10\" } }\n"
                  "hosts_ = 1\n"}});
  CHECK(site.codes() == std::vector<std::string>{"site.toml:4:1 unknown-key"});
  REQUIRE(site.policy.hosts.size() == 1);
  CHECK(site.policy.management_addresses == net::known_addresses({"198.51.100.0/24"}));
}

TEST_CASE("a role and a tag stand for all addresses of their hosts, virtual ones too") {
  const MemorySite site = make_site({{"site.toml", kTwoHosts}});
  CHECK(site.codes().empty());
  CHECK(site.file("web").addresses ==
        net::known_addresses({"10.0.2.10", "fd00::2:10", "10.0.2.1", "10.0.2.11"}));
  CHECK(site.policy.tags[0].addresses ==
        net::known_addresses({"10.0.2.10", "fd00::2:10", "10.0.2.1"}));
  CHECK(site.policy.site_addresses == site.file("web").addresses);
}

TEST_CASE("internet is all but internal, the hosts', link-local, multicast and loopback") {
  const MemorySite site =
      make_site({{"site.toml", std::string("[site]\ninternal = \"inside\"\n[networks]\n"
                                           "inside = [\"10.1.0.0/16\"]\n"
                                           "contractor = \"192.0.2.0/24\"\n") +
                                   kTwoHosts}});
  CHECK(site.codes().empty());
  const net::AddressSet& internet = site.policy.internet;
  for (const char* text : {"192.0.2.1", "10.2.0.1", "2001:db8::1", "8.8.8.8", "fd00::1"}) {
    CHECK_MESSAGE(internet.contains(*net::parse_address(text)), text);
  }
  for (const char* text : {"10.1.2.3", "10.0.2.10", "10.0.2.1", "fd00::2:10", "169.254.1.1",
                           "fe80::1", "224.0.0.1", "ff02::1", "127.0.0.1", "::1"}) {
    CHECK_MESSAGE(!internet.contains(*net::parse_address(text)), text);
  }
}

TEST_CASE("a network of networks is resolved in any order, and without what it excludes") {
  const MemorySite site =
      make_site({{"site.toml", std::string("[networks]\n"
                                           "all = [\"a\", \"b\", \"!10.0.0.128/25\"]\n"
                                           "b = \"first\"\n"
                                           "a = [\"10.0.0.0/24\", \"2001:db8::/32\"]\n"
                                           "rest = \"!a\"\n") +
                                   kTwoHosts}});
  CHECK(site.codes().empty());
  CHECK(network(site, "all").addresses ==
        net::known_addresses(
            {"10.0.0.0/25", "2001:db8::/32", "10.0.2.10", "fd00::2:10", "10.0.2.1"}));
  CHECK(network(site, "rest").addresses == ~network(site, "a").addresses);
  CHECK(network(site, "a").literal);
  CHECK(network(site, "a").prefixes.size() == 2);
  CHECK(!network(site, "all").literal);
  CHECK(net::AddressSet::from(network(site, "all").prefixes) == network(site, "all").addresses);
}

TEST_CASE(
    "a list is its plain terms less its negated ones; negated ones alone are any less these") {
  const MemorySite site =
      make_site({{"site.toml", kTwoHosts},
                 {"web.toml",
                  "role = \"web\"\n"
                  "[[inbound]]\nid = \"a\"\nfrom = [\"web\", \"!web-01\"]\n"
                  "[[inbound]]\nid = \"b\"\nfrom = [\"!web\", \"!192.0.2.0/24\"]\n"
                  "[[inbound]]\nid = \"c\"\nfrom = [\"any\", \"!self\"]\n"}});
  CHECK(site.codes().empty());
  const auto from = [&](std::size_t rule, Index self) {
    return addresses_of(site.policy, site.file("web").rules[rule].conditions.from, self);
  };
  CHECK(from(0, 0) == net::known_addresses({"10.0.2.11"}));
  CHECK(from(1, 0) == ~(site.file("web").addresses | net::known_addresses({"192.0.2.0/24"})));
  CHECK(from(2, 0) == ~net::known_addresses({"10.0.2.10", "fd00::2:10", "10.0.2.1"}));
  CHECK(from(2, 1) == ~net::known_addresses({"10.0.2.11", "10.0.2.1"}));
  CHECK(addresses_of(site.policy, Selectors(), 0).is_all());
}

TEST_CASE("the site's networks and services hide a block's, name by name") {
  const MemorySite site = make_site(
      {{"web.toml", "role = \"web\"\nuse = [\"own\", \"base\"]\n[[outbound]]\nservice = \"app\"\n"},
       {"site.toml", std::string("[networks]\nclocks = \"10.0.0.1\"\n[services]\n"
                                 "http = \"tcp/8080\"\n") +
                         kTwoHosts},
       {"rules/services.toml", "[services]\nhttp = \"tcp/1\"\napp = \"tcp/2\"\n"},
       {"rules/own.toml", "[services]\nssh = \"tcp/2222\"\n"},
       {"shipped/base.toml",
        "inbound = [ { service = \"http\", from = \"clocks\" }, { service = \"ssh\" } ]\n"
        "[networks]\nclocks = \"any\"\nnames = \"any\"\n[services]\napp = \"tcp/3\"\n"}});
  CHECK(site.codes().empty());
  CHECK(network(site, "clocks").addresses == net::known_addresses({"10.0.0.1"}));
  CHECK(!network(site, "clocks").shipped);
  CHECK(network(site, "names").addresses.is_all());
  CHECK(network(site, "names").shipped);
  CHECK(site.file("base").rules[0].conditions.services.literals[0].text == "tcp/8080");
  CHECK(site.file("base").rules[1].conditions.services.literals[0].text == "tcp/2222");
  CHECK(site.file("web").rules[0].conditions.services.literals[0].text == "tcp/2");
}

TEST_CASE("a site's block replaces the shipped one whole") {
  const MemorySite site =
      make_site({{"web.toml", "role = \"web\"\nuse = \"base\"\n"},
                 {"rules/base.toml", "inbound = { service = \"http\" }\n"},
                 {"shipped/base.toml", "inbound = { service = \"ssh\" }\n[[forward]]\n"}});
  CHECK(site.codes() == std::vector<std::string>{"rules/base.toml replaces-shipped"});
  REQUIRE(site.file("base").rules.size() == 1);
  CHECK(site.file("base").rules[0].full_name == "base.inbound.http");
  CHECK(!site.file("base").shipped);
}

TEST_CASE("interfaces: names with a device, or a host's own map, which keeps `behind`") {
  const MemorySite site = make_site({{"site.toml", R"(
[networks]
inside = "10.0.0.0/8"

[interfaces.public]
device = "eth0"

[interfaces.private]
device = "eth1"
behind = "inside"

[hosts.web-01]
role       = "web"
addresses  = "10.0.2.10"
interfaces = ["public", "private"]

[hosts.web-02]
role       = "web"
addresses  = "10.0.2.11"
interfaces = { private = "ens3", docker = ["docker0", "br-*"] }
)"}});
  CHECK(site.codes().empty());
  const auto& first = site.policy.hosts[0].interfaces;
  REQUIRE(first.size() == 2);
  CHECK(first[0].devices == std::vector<std::string>{"eth0"});
  CHECK(!first[0].behind);
  CHECK(first[1].behind == net::known_addresses({"10.0.0.0/8"}));
  const auto& second = site.policy.hosts[1].interfaces;
  REQUIRE(second.size() == 2);
  CHECK(second[0].devices == std::vector<std::string>{"ens3"});
  CHECK(second[0].behind == net::known_addresses({"10.0.0.0/8"}));
  CHECK(second[1].devices == std::vector<std::string>{"docker0", "br-*"});
}

TEST_CASE("limits") {
  const auto rate = [](const std::string& limit) {
    const MemorySite site =
        make_site({{"web.toml", "role = \"web\"\n[[inbound]]\nservice = \"ssh\"\nlimit = \"" +
                                    limit + "\"\n"}});
    CHECK(site.codes().empty());
    const auto& found = site.file("web").rules.at(0).limit;
    REQUIRE(found);
    return fmt::format("{}/{} {} {}", found->count, found->per_seconds, found->burst,
                       found->per_source);
  };
  CHECK(rate("10/minute") == "10/60 10 true");
  CHECK(rate("100/second burst 200") == "100/1 200 true");
  CHECK(rate("5/hour in all") == "5/3600 5 false");
  CHECK(rate("5/day burst 1 per source") == "5/86400 1 true");
  CHECK(rate("1000000000/second burst 4294967295 in all") == "1000000000/1 4294967295 false");
}

TEST_CASE("literals") {
  const auto literal = [](const std::string& text) {
    const MemorySite site = make_site(
        {{"web.toml", "role = \"web\"\n[[inbound]]\nid = \"x\"\nservice = \"" + text + "\"\n"}});
    CHECK(site.codes().empty());
    const ServiceLiteral& found = site.file("web").rules.at(0).conditions.services.literals.at(0);
    return fmt::format("{} {}-{} {}-{} {} {}", found.protocol, found.destination.first,
                       found.destination.last, found.source.first, found.source.last,
                       found.ports_given, found.icmp_type ? *found.icmp_type : -1);
  };
  CHECK(literal("tcp/443") == "6 443-443 0-65535 true -1");
  CHECK(literal("tcp") == "6 0-65535 0-65535 false -1");
  CHECK(literal("udp/68 from 67") == "17 68-68 67-67 true -1");
  CHECK(literal("sctp/0-65535") == "132 0-65535 0-65535 true -1");
  CHECK(literal("udp from 1024-65535") == "17 0-65535 1024-65535 false -1");
  CHECK(literal("icmp") == "1 0-65535 0-65535 false -1");
  CHECK(literal("icmp/echo-request") == "1 0-65535 0-65535 false 8");
  CHECK(literal("icmpv6/143") == "58 0-65535 0-65535 false 143");
  CHECK(literal("icmpv6/mld2-report") == "58 0-65535 0-65535 false 143");
  CHECK(literal("protocol/112") == "112 0-65535 0-65535 false -1");
}

TEST_CASE("the defaults of site.toml") {
  const MemorySite site =
      make_site({{"site.toml", std::string("[defaults]\noutbound = \"drop\"\nmode = \"audit\"\n"
                                           "log = { limit = \"5/minute burst 9\" }\n") +
                                   kTwoHosts}});
  CHECK(site.codes().empty());
  CHECK(site.policy.defaults.inbound == Action::Drop);
  CHECK(site.policy.defaults.outbound == Action::Drop);
  CHECK(site.policy.defaults.mode == Mode::Audit);
  CHECK(site.policy.defaults.log.limit.count == 5);
  CHECK(site.policy.defaults.log.limit.burst == 9);
  CHECK(!site.policy.defaults.log.limit.per_source);
}

TEST_CASE("the example site has no finding") {
  Diagnostics diagnostics;
  const std::string root = SOURCE_ROOT;
  const Policy policy =
      load(root + "/policies", {root + "/rules", MemorySite::kToday}, diagnostics);
  CHECK(diagnostics.all().empty());
  CHECK(policy.hosts.size() == 8);
}

TEST_CASE("a hostile site costs no more than it is worth") {
  // Thousands of unknown names among thousands of known ones: the hints alone could take minutes.
  std::string hosts;
  std::string rules = "role = \"web\"\n";
  for (int i = 0; i < 2000; ++i) {
    hosts += fmt::format(
        "[hosts.a-rather-long-name-of-host-{}]\nrole = \"web\"\n"
        "addresses = \"10.{}.{}.1\"\n",
        i, i / 250, i % 250);
    rules += fmt::format(
        "[[inbound]]\nid = \"r{}\"\nservice = \"unknown-{}\"\n"
        "from = \"a-rather-long-nam-of-host-{}\"\n",
        i, i, i);
  }
  const MemorySite site = make_site({{"site.toml", hosts}, {"web.toml", rules}});
  CHECK(site.diagnostics.error_count() == 4000);
  CHECK(site.diagnostics.all().size() == Diagnostics::kLimit);
}

}  // namespace rolewall::policy
