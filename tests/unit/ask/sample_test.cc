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

TEST_CASE_FIXTURE(Fixture, "each host of a role, in both families") {
  CHECK(take("https internet > lb") ==
        Words{"tcp 192.0.2.1:40000 > 203.0.113.10:443", "tcp 192.0.2.1:40000 > 203.0.113.11:443",
              "tcp [2001:db8:ffff::1]:40000 > [2001:db8:1::10]:443",
              "tcp [2001:db8:ffff::1]:40000 > [2001:db8:1::11]:443"});
}

TEST_CASE_FIXTURE(Fixture, "a host speaks from its first address in a network with the other end") {
  CHECK(take("https lb-01 > web-01") ==
        Words{"tcp 10.0.1.10:40000 > 10.0.2.10:443",
              "tcp [fd00:db8:0:1::10]:40000 > [fd00:db8:0:2::10]:443"});
  CHECK(take("https office > lb-01 family=4") ==
        Words{"tcp 198.51.100.1:40000 > 203.0.113.10:443",
              "tcp 198.51.100.254:40000 > 203.0.113.10:443"});
  CHECK(take("vrrp lb-01 > lb-02 family=4") == Words{"protocol/112 10.0.1.10 > 10.0.1.11"});
}

TEST_CASE("a network of nearly everything does not make a public address near") {
  auto files = test::small_site();
  auto& site = files["site.toml"];
  site.replace(site.find("[networks]\n"), 11,
               "[networks]\nforeign = \"!198.51.100.0/24\"\nhalf = \"0.0.0.0/1\"\n");
  const auto policy = test::load_site(files);
  Diagnostics diagnostics;
  const auto samples =
      Sampler(policy).take(test::words(policy, "https lb-01 > web-01 family=4"), {}, diagnostics);
  REQUIRE(samples.size() == 1);
  CHECK(net::format(samples[0].fields.source) == "10.0.1.10");
}

TEST_CASE_FIXTURE(Fixture, "the first and last host address of a prefix") {
  CHECK(take("https office > web-01 family=6") ==
        Words{"tcp [2001:db8:ff::1]:40000 > [fd00:db8:0:2::10]:443",
              "tcp [2001:db8:ff:ffff:ffff:ffff:ffff:ffff]:40000 > [fd00:db8:0:2::10]:443"});
  CHECK(take("https 192.0.2.8/31 > web-01") ==
        Words{"tcp 192.0.2.8:40000 > 10.0.2.10:443", "tcp 192.0.2.9:40000 > 10.0.2.10:443"});
}

TEST_CASE_FIXTURE(Fixture, "a list file is sampled prefix by prefix") {
  CHECK(take("https abusers > web-01") ==
        Words{"tcp 192.0.2.66:40000 > 10.0.2.10:443", "tcp 203.0.113.129:40000 > 10.0.2.10:443",
              "tcp 203.0.113.254:40000 > 10.0.2.10:443",
              "tcp [2001:db8:bad::1]:40000 > [fd00:db8:0:2::10]:443",
              "tcp [2001:db8:bad:ffff:ffff:ffff:ffff:ffff]:40000 > [fd00:db8:0:2::10]:443"});
}

TEST_CASE_FIXTURE(Fixture, "a pool is its first machine and its last") {
  CHECK(take("https lb-01 > batch") ==
        Words{"tcp 10.0.1.10:40000 > 10.0.8.1:443", "tcp 10.0.1.10:40000 > 10.0.8.254:443"});
}

TEST_CASE_FIXTURE(Fixture, "any is the internet's sample and each literal network's") {
  CHECK(take("https any > db-01") ==
        Words{"tcp 192.0.2.1:40000 > 10.0.3.10:443", "tcp 198.51.100.1:40000 > 10.0.3.10:443",
              "tcp 198.51.100.254:40000 > 10.0.3.10:443", "tcp 10.0.0.1:40000 > 10.0.3.10:443",
              "tcp 10.0.255.254:40000 > 10.0.3.10:443", "tcp 10.0.0.123:40000 > 10.0.3.10:443"});
}

TEST_CASE("internet is the next address that is in it") {
  auto files = test::small_site();
  auto& site = files["site.toml"];
  site.replace(site.find("internal   = ["), 14, "internal   = [\"192.0.2.0/24\", ");
  const policy::Policy policy = test::load_site(files);
  Diagnostics diagnostics;
  const auto samples = Sampler(policy).take(test::words(policy, "https internet > web-01 family=4"),
                                            {}, diagnostics);
  REQUIRE(samples.size() == 1);
  CHECK(net::format(samples[0].fields.source) == "192.0.3.0");
}

TEST_CASE_FIXTURE(Fixture, "link-local is one address a family") {
  CHECK(take("vrrp link-local > 224.0.0.18 at=lb-01") ==
        Words{"protocol/112 169.254.0.1 > 224.0.0.18"});
  CHECK(take("vrrp link-local > ff02::12 at=lb-01") == Words{"protocol/112 fe80::1 > ff02::12"});
}

TEST_CASE_FIXTURE(Fixture, "each literal of a service, and the ends of a range") {
  CHECK(take("dns web-01 > clocks") ==
        Words{"udp 10.0.2.10:40000 > 10.0.0.123:53", "tcp 10.0.2.10:40000 > 10.0.0.123:53"});
  CHECK(take("high web-01 > clocks") ==
        Words{"tcp 10.0.2.10:40000 > 10.0.0.123:8000", "tcp 10.0.2.10:40000 > 10.0.0.123:8999"});
  CHECK(take("lease 10.0.0.1 > web-01") == Words{"udp 10.0.0.1:67 > 10.0.2.10:68"});
  CHECK(take("ping web-01 > web-02") ==
        Words{"icmp/8 10.0.2.10 > 10.0.2.11", "icmpv6/128 fd00:db8:0:2::10 > fd00:db8:0:2::11"});
}

TEST_CASE_FIXTURE(Fixture, "what is said of the header is kept, and reads back as it was") {
  CHECK(
      take("tcp 192.0.2.7:1234 > web-01:80 flags=syn,ack state=established length=100 ttl=1") ==
      Words{"tcp 192.0.2.7:1234 > 10.0.2.10:80 flags=syn,ack state=established length=100 ttl=1"});
  CHECK(take("tcp web-01 > 192.0.2.7:80 flags=none user=root out=eth7") ==
        Words{"tcp 10.0.2.10:40000 > 192.0.2.7:80 flags=none out=eth7 user=0"});
}

TEST_CASE_FIXTURE(Fixture, "a host never asks itself") {
  CHECK(take("https web > web family=6") ==
        Words{"tcp [fd00:db8:0:2::10]:40000 > [fd00:db8:0:2::11]:443",
              "tcp [fd00:db8:0:2::11]:40000 > [fd00:db8:0:2::10]:443"});
  CHECK(take("https web-01 > web-01").empty());
  // A shared address is the receiver's own too.
  CHECK(take("https 203.0.113.9 > lb-01").empty());
}

TEST_CASE_FIXTURE(Fixture, "`!` leaves addresses out") {
  CHECK(take("https !inside > db-01") == Words{"tcp 192.0.2.1:40000 > 10.0.3.10:443",
                                               "tcp 198.51.100.1:40000 > 10.0.3.10:443",
                                               "tcp 198.51.100.254:40000 > 10.0.3.10:443"});
}

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

TEST_CASE_FIXTURE(Fixture, "words that ask nobody are an error") {
  CHECK(take("https 192.0.2.1 > 192.0.2.2") == Words{"not-an-end"});
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

TEST_CASE_FIXTURE(Fixture, "families that do not meet name nothing") {
  CHECK(take("https 2001:db8::1 > db-01").empty());
  CHECK(take("icmp web-01 > web-02 family=6").empty());
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
}

}  // namespace
}  // namespace rolewall::ask
