#include "ask/sample.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "policy/codes.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

using Words = std::vector<std::string>;

struct Fixture {
  policy::Policy policy = test::load_site(test::small_site());
  Sampler sampler{policy};

  // The samples, without the flags that every TCP sample has.
  Words take(const std::string& text, Asking asking = {}) {
    Diagnostics diagnostics;
    const auto samples =
        sampler.take(test::words(policy, text, asking.self.has_value()), asking, diagnostics);
    if (diagnostics.has_errors()) return {diagnostics.all()[0].code};
    Words found;
    for (const Sample& sample : samples) {
      std::string said = to_words(sample);
      const auto at = said.find(" flags=syn");
      if (at != std::string::npos && said.substr(at, 11) != " flags=syn,") said.erase(at, 10);
      found.push_back(std::move(said));
    }
    return found;
  }
  Asking alone(const std::string& name) { return {test::host(policy, name), true}; }
};

TEST_CASE_FIXTURE(Fixture, "both ends are asked, or the one that is a host") {
  Diagnostics diagnostics;
  const auto asked = [&](const std::string& text, const Asking& asking) {
    return sampler.take(test::words(policy, text, asking.self.has_value()), asking, diagnostics)
        .at(0);
  };
  const auto web = test::host(policy, "web-01");
  const auto db = test::host(policy, "db-01");
  CHECK(asked("tcp/3306 web-01 > db-01", {}).sender == web);
  CHECK(asked("tcp/3306 web-01 > db-01", {}).receiver == db);
  CHECK(asked("https web-01 > internet", {}).receiver == std::nullopt);
  // A literal address that a host bears is that host.
  CHECK(asked("tcp/3306 10.0.2.10 > 10.0.3.10", {}).sender == web);
  CHECK(asked("tcp/3306 10.0.2.10 > 10.0.3.10", {}).receiver == db);
  // A role's test asks its own host alone.
  CHECK(asked("tcp/3306 self > db-01", alone("web-01")).sender == web);
  CHECK(asked("tcp/3306 self > db-01", alone("web-01")).receiver == std::nullopt);
  CHECK(asked("tcp/3306 web-01 > self", alone("db-01")).sender == std::nullopt);
  CHECK(asked("tcp/3306 web-01 > self", alone("db-01")).receiver == db);
}

TEST_CASE_FIXTURE(Fixture, "multicast and shared addresses are asked where `at` says") {
  Diagnostics diagnostics;
  const auto lb2 = test::host(policy, "lb-02");
  const auto multicast =
      sampler.take(test::words(policy, "vrrp lb-01 > 224.0.0.18 at=lb-02"), {}, diagnostics);
  REQUIRE(multicast.size() == 1);
  CHECK(multicast[0].sender == test::host(policy, "lb-01"));
  CHECK(multicast[0].receiver == lb2);
  const auto shared =
      sampler.take(test::words(policy, "https internet > 203.0.113.9 at=lb-02"), {}, diagnostics);
  REQUIRE(shared.size() == 1);
  CHECK(shared[0].receiver == lb2);
  CHECK(take("https internet > 203.0.113.9") ==
        Words{"tcp 192.0.2.1:40000 > 203.0.113.9:443", "tcp 192.0.2.1:40000 > 203.0.113.9:443"});
  CHECK(take("https internet > 203.0.113.9 at=self", alone("lb-01")) ==
        Words{"tcp 192.0.2.1:40000 > 203.0.113.9:443"});
}

TEST_CASE_FIXTURE(Fixture, "of a network, the host between leaves out its own addresses") {
  CHECK(take("https 10.0.1.8/30 > 192.0.2.1 at=lb-01 out=public") ==
        Words{"tcp 10.0.1.9:40000 > 192.0.2.1:443 at=lb-01 out=public"});
  // Said to be the sender, it sends; what it sends arrives nowhere.
  CHECK(take("https 10.0.1.10 > 192.0.2.1 at=lb-01") ==
        Words{"tcp 10.0.1.10:40000 > 192.0.2.1:443"});
  CHECK(take("https 10.0.1.10 > 192.0.2.1 at=lb-01 in=private") == Words{"not-an-end"});
}

TEST_CASE_FIXTURE(Fixture, "words that ask nobody are an error") {
  CHECK(take("https 192.0.2.1 > 192.0.2.2") == Words{"not-an-end"});
}

TEST_CASE_FIXTURE(Fixture, "words that say nothing about the host that is asked are an error") {
  CHECK(take("https 192.0.2.1 > lb-01 in=public") ==
        Words{"tcp 192.0.2.1:40000 > 203.0.113.10:443 in=public"});
  CHECK(take("https 192.0.2.1 > lb-01 in=public out=private") == Words{"not-an-end"});
  CHECK(take("https 192.0.2.1 > lb-01 user=33") == Words{"not-an-end"});
  CHECK(take("https lb-01 > 192.0.2.1 out=public user=33").size() == 1);
  // A ruleset that translates may pass on what it receives.
  Asking translating = alone("lb-01");
  translating.translates = true;
  CHECK(take("https 192.0.2.1 > self in=public out=private", translating).size() == 1);
  // A role's test asks its own host alone.
  CHECK(take("https 192.0.2.1 > self at=web-01", alone("lb-01")) == Words{"not-an-end"});
  CHECK(take("https 192.0.2.1 > self at=lb-01", alone("lb-01")).size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "words that name too many packets are an error") {
  auto words = test::words(policy, "https internet > lb-01 family=4", false);
  words.service.literals.resize(Sampler::kMaxSamples + 1, words.service.literals.front());
  Diagnostics diagnostics;
  CHECK(sampler.take(words, {}, diagnostics).empty());
  REQUIRE(diagnostics.has_errors());
  CHECK(is(diagnostics.all()[0], policy::Code::TooManySamples));
  CHECK_MESSAGE(Sampler::kMaxSamples == 200'000, "the code's sentence says so (policy/codes.cc)");
}

TEST_CASE_FIXTURE(Fixture, "a host between is asked where `at` says") {
  Diagnostics diagnostics;
  const auto samples =
      sampler.take(test::words(policy, "https 192.0.2.1 > db-01 at=lb-01 in=public out=private"),
                   {}, diagnostics);
  REQUIRE(samples.size() == 1);
  CHECK(samples[0].sender == std::nullopt);
  CHECK(samples[0].through == test::host(policy, "lb-01"));
  CHECK(samples[0].receiver == test::host(policy, "db-01"));
  CHECK(to_words(samples[0]) ==
        "tcp 192.0.2.1:40000 > 10.0.3.10:443 flags=syn at=lb-01 in=public out=private");
  CHECK(take(to_words(samples[0])) ==
        Words{"tcp 192.0.2.1:40000 > 10.0.3.10:443 at=lb-01 in=public out=private"});

  // In a role that host alone is asked.
  const auto alone_there = sampler.take(
      test::words(policy, "https web-01 > 192.0.2.1 at=self", true), alone("lb-01"), diagnostics);
  REQUIRE(alone_there.size() == 1);
  CHECK(alone_there[0].sender == std::nullopt);
  CHECK(alone_there[0].through == test::host(policy, "lb-01"));
  CHECK(alone_there[0].alone);
}

TEST_CASE_FIXTURE(Fixture,
                  "what stays on a link comes to the host that is asked, or goes from it") {
  const auto ends = [&](const char* text) {
    Diagnostics diagnostics;
    const auto samples = sampler.take(test::words(policy, text), {}, diagnostics);
    REQUIRE(samples.size() == 1);
    CHECK(!samples[0].through);
    const auto lb = test::host(policy, "lb-01");
    return std::string(samples[0].sender == lb ? "goes" : samples[0].receiver == lb ? "comes" : "");
  };
  CHECK(ends("udp 0.0.0.0:68 > 255.255.255.255:67 at=lb-01") == "comes");
  CHECK(ends("udp 0.0.0.0:68 > 255.255.255.255:67 at=lb-01 out=private") == "goes");
  CHECK(ends("udp 10.0.0.9:5353 > 224.0.0.251:5353 at=lb-01 in=private") == "comes");
  CHECK(ends("udp [fe80::1]:547 > [fe80::5]:546 at=lb-01") == "comes");
  CHECK(ends("udp [fe80::1]:547 > [fe80::5]:546 at=lb-01 out=private") == "goes");
}

TEST_CASE_FIXTURE(Fixture, "a host is not asked about an interface that it has not") {
  // Its devices are known, too, and every host has a loopback.
  CHECK(take("https 192.0.2.1 > lb-01 in=eth0").size() == 1);
  CHECK(take("https 192.0.2.1 > lb-01 in=lo").size() == 1);
  CHECK(take("https 192.0.2.1 > lb-01 in=pubic") == Words{"unknown-interface"});
  CHECK(take("https lb-01 > 192.0.2.1 out=eth7") == Words{"unknown-interface"});
  CHECK(take("https 192.0.2.1 > web-01 at=gw-01 in=public out=privat") ==
        Words{"unknown-interface"});
  CHECK(take("https lb-01 > self in=pubic", alone("lb-02")) == Words{"unknown-interface"});
  // Where the policy names none, any may be there.
  CHECK(take("https 192.0.2.1 > web-01 in=eth7").size() == 1);
}

TEST_CASE("host addresses of prefixes") {
  const auto ends = [](const char* prefix) {
    const auto [first, last] = host_addresses(*net::parse_prefix(prefix));
    return net::format(first) + " " + net::format(last);
  };
  CHECK(ends("10.0.0.0/8") == "10.0.0.1 10.255.255.254");
  CHECK(ends("10.0.0.4/30") == "10.0.0.5 10.0.0.6");
  CHECK(ends("10.0.0.4/31") == "10.0.0.4 10.0.0.5");
  CHECK(ends("10.0.0.4/32") == "10.0.0.4 10.0.0.4");
  CHECK(ends("fd00::/64") == "fd00::1 fd00::ffff:ffff:ffff:ffff");
  CHECK(ends("fd00::2/127") == "fd00::2 fd00::3");
  CHECK(ends("::/0") == "2000::1 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  CHECK(ends("::/3") == "::1 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

}  // namespace
}  // namespace rolewall::ask
