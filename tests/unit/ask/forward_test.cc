// Questions to a host that passes packets on: who is asked, in which order, and what NAT made of
// the packet.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ask/site.h"
#include "ruleset/names.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

using namespace std::chrono;
constexpr policy::Date kToday = year{2026} / 11 / 21;

constexpr const char* kGateway = R"(
role = "gateway"

[[forward]]
id      = "out"
service = "https"
from    = "inside"
to      = "internet"
in      = "private"
out     = "public"

[[nat]]
id         = "masquerade"
from       = "inside"
out        = "public"
new-source = "masquerade"

[[nat]]
id              = "partner"
service         = "tcp/8443"
to              = "self"
in              = "public"
new-destination = "web-01:443"
)";

constexpr const char* kHost = R"(
[hosts.gw-01]
role       = "gateway"
addresses  = ["203.0.113.12", "2001:db8:1::12", "10.0.0.1", "fd00:db8::1"]
interfaces = ["public", "private"]
)";

struct Fixture {
  policy::Policy policy;
  Fixture() : Fixture("") {}
  explicit Fixture(const std::string& more_of_web) {
    test::SiteFiles files = test::small_site({{"gateway.toml", kGateway}});
    files["site.toml"] += kHost;
    files["web.toml"] += more_of_web;
    policy = test::load_site(files);
  }

  Answer ask(const std::string& text, Asking asking = {}) const {
    Diagnostics diagnostics;
    const auto samples = Sampler(policy).take(test::words(policy, text, asking.self.has_value()),
                                              asking, diagnostics);
    REQUIRE_MESSAGE(!samples.empty(), text);
    return Site(policy, kToday).ask(samples.front());
  }
  Asking gateway() const { return {test::host(policy, "gw-01"), true}; }
};

// "gw-01 forward gateway.nat.partner, web-01 input (default)"; what no rule of ours decided is left
// out.
std::string path(const std::vector<Hop>& hops) {
  std::string text;
  for (const Hop& hop : hops) {
    if (!hop.decided_by || hop.decided_by->rule.empty()) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {} {}", hop.host, ruleset::name_of(hop.hook), hop.decided_by->rule);
    if (!hop.translated.empty()) text += " " + hop.translated;
  }
  return text;
}

}  // namespace

TEST_CASE_FIXTURE(Fixture, "a role's test of what its host passes on asks that host alone") {
  const Answer out = ask("https web-01 > 192.0.2.80 at=self in=private out=public", gateway());
  CHECK(out.verdict == Verdict::Accept);
  CHECK(path(out.hops) ==
        "gw-01 forward gateway.forward.out, "
        "gw-01 postrouting gateway.nat.masquerade from 203.0.113.12:40000");
  CHECK(out.packet ==
        "tcp 10.0.2.10:40000 > 192.0.2.80:443 flags=syn at=gw-01 in=private out=public");
  CHECK(ask("dns web-01 > 192.0.2.80 at=self in=private out=public", gateway()).verdict ==
        Verdict::Drop);
  CHECK(ask("https 192.0.2.80 > web-01 at=self in=public out=private", gateway()).verdict ==
        Verdict::Drop);
}

TEST_CASE_FIXTURE(Fixture, "interfaces that are not said follow the addresses") {
  const Answer out = ask("https web-01 > 192.0.2.80 at=self", gateway());
  CHECK(out.verdict == Verdict::Accept);
  CHECK(out.packet.ends_with("in=private out=public"));
  const Answer spoofed = ask("https web-01 > 192.0.2.80 at=self in=public", gateway());
  CHECK(path(spoofed.hops) == "gw-01 forward (spoofed)");
}

TEST_CASE_FIXTURE(Fixture, "in the site the sender and the receiver are asked as well") {
  // web-01 itself does not let it out.
  const Answer out = ask("https web-01 > 192.0.2.80 at=gw-01");
  CHECK(out.verdict == Verdict::Reject);
  CHECK(path(out.hops) == "web-01 output (default)");
  CHECK(path(out.beyond).starts_with("gw-01 forward gateway.forward.out, gw-01 postrouting"));
  const Answer in = ask("https 192.0.2.80 > web-01 at=gw-01");
  CHECK(path(in.hops) == "gw-01 forward (default)");
  CHECK(path(in.beyond) == "web-01 input (default)");
}

TEST_CASE_FIXTURE(Fixture, "what is translated to another host comes there as it then is") {
  const Answer answer = ask("tcp/8443 192.0.2.80 > gw-01");
  // web-01 must admit it too, and does not.
  CHECK(answer.verdict == Verdict::Drop);
  CHECK(path(answer.hops) ==
        "gw-01 prerouting gateway.nat.partner to 10.0.2.10:443, gw-01 forward gateway.nat.partner, "
        "web-01 input (default)");
  CHECK(answer.hops.back().device == "eth0");
  CHECK(answer.packet ==
        "tcp 192.0.2.80:40000 > 203.0.113.12:8443 flags=syn in=public out=private");

  const Answer alone = ask("tcp/8443 192.0.2.80 > self", gateway());
  CHECK(alone.verdict == Verdict::Accept);
  CHECK(alone.hops.back().host == "gw-01");
}

TEST_CASE("a host that admits what the gateway translated to it") {
  const Fixture site("\n[[inbound]]\nid = \"partner\"\nservice = \"https\"\nfrom = \"internet\"\n");
  const Answer answer = site.ask("tcp/8443 192.0.2.80 > gw-01");
  CHECK(answer.verdict == Verdict::Accept);
  CHECK(path(answer.hops).ends_with(", web-01 input web.inbound.partner"));
  const Answer ipv6 = site.ask("tcp/8443 2001:db8:9::80 > gw-01");
  CHECK(ipv6.verdict == Verdict::Accept);
  CHECK(path(ipv6.hops).find("to [fd00:db8:0:2::10]:443") != std::string::npos);
}

TEST_CASE("masquerading takes an address that is not behind another interface") {
  test::SiteFiles files = test::small_site({{"gateway.toml", kGateway}});
  files["site.toml"] += kHost;
  auto& site = files["site.toml"];
  site.replace(site.find("\"203.0.113.12\", \"2001:db8:1::12\", \"10.0.0.1\""), 44,
               "\"10.0.0.1\", \"2001:db8:1::12\", \"203.0.113.12\"");
  const auto policy = test::load_site(files);
  Diagnostics diagnostics;
  const auto samples =
      Sampler(policy).take(test::words(policy, "https web-01 > 192.0.2.80 at=self", true),
                           {test::host(policy, "gw-01"), true}, diagnostics);
  CHECK(Site(policy, kToday).ask(samples.at(0)).hops.back().translated ==
        "from 203.0.113.12:40000");
}

TEST_CASE("where the way out is a choice and matters, the answer says what to add") {
  test::SiteFiles files = test::small_site({{"gateway.toml", kGateway}});
  files["site.toml"] += kHost;
  auto& site = files["site.toml"];
  site.insert(site.find("[interfaces.private]"), "[interfaces.guest]\ndevice = \"eth2\"\n\n");
  const std::size_t gateway = site.find("[hosts.gw-01]");
  site.replace(site.find("[\"public\", ", gateway), 9, "[\"public\", \"guest\"");
  const auto policy = test::load_site(files);
  Diagnostics diagnostics;
  const auto samples =
      Sampler(policy).take(test::words(policy, "https web-01 > 192.0.2.80 at=self", true),
                           {test::host(policy, "gw-01"), true}, diagnostics);
  const Answer answer = Site(policy, kToday).ask(samples.at(0));
  CHECK(answer.verdict == Verdict::Conditional);
  const auto& alternatives = answer.hops.back().alternatives;
  REQUIRE(alternatives.size() == 2);
  CHECK(alternatives[0].add == "out=public");
  CHECK(alternatives[0].verdict == Verdict::Accept);
  CHECK(alternatives[1].add == "out=guest");
  CHECK(alternatives[1].verdict == Verdict::Drop);
}

}  // namespace rolewall::ask
