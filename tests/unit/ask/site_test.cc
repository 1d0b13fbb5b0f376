#include "ask/site.h"

#include <doctest/doctest.h>

#include "ask/tests.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

using namespace std::chrono;

Sample first(const policy::Policy& policy, const std::string& text) {
  Diagnostics diagnostics;
  const auto samples = Sampler(policy).take(test::words(policy, text), {}, diagnostics);
  REQUIRE(!samples.empty());
  return samples.front();
}

Answer ask(const policy::Policy& policy, const std::string& text) {
  Site site(policy, test::kToday);
  return site.ask(first(policy, text));
}

TEST_CASE("the interface is the one that the far address is behind, else the open one") {
  const auto policy = test::load_site(test::small_site());
  CHECK(ask(policy, "https 10.0.2.99 > lb-01").hops.back().device == "eth1");
  CHECK(ask(policy, "https internet > lb-01").hops.back().device == "eth0");
  // Where the gateway has translated it, by which it comes to the host behind.
  const Answer translated = ask(policy, "tcp/8443 192.0.2.80 > gw-01");
  CHECK(translated.hops.back().host == "web-01");
  CHECK(translated.hops.back().device == "eth0");
}

TEST_CASE("a ruleset without a policy is asked by addresses and its own host's name") {
  const auto policy = test::load_site(test::small_site());
  Site site(policy, test::kToday);
  const ruleset::Snapshot snapshot = site.snapshot(test::host(policy, "lb-01"));
  const policy::Policy bare = policy_of(snapshot.host);
  Site alone(bare, snapshot);
  const Answer answer = alone.ask(first(bare, "tcp 192.0.2.7 > lb-01:443 in=public"));
  CHECK(answer.verdict == Verdict::Accept);
  CHECK(deciding_hop(answer)->decided_by->rule == "lb.inbound.https");
}

TEST_CASE("explained, every rule that was tried says why it did not match") {
  const auto policy = test::load_site(test::small_site());
  Site site(policy, test::kToday);
  const Answer answer = site.ask(first(policy, "tcp/81 internet > lb-01"), true);
  REQUIRE(!answer.hops.back().tried.empty());
  for (const Tried& tried : answer.hops.back().tried) {
    CHECK(!tried.rule.empty());
    CHECK(tried.matched == tried.why.empty());
  }
  CHECK(answer.hops.back().tried.back().rule == "(default)");
}

// --- tests ---------------------------------------------------------------------------------------

struct Planned {
  policy::Policy policy;
  Diagnostics diagnostics;
  std::vector<TestCase> cases;
  explicit Planned(const test::SiteFiles& files) : policy(test::load_site(files)) {
    cases = plan_tests(policy, diagnostics);
  }
  // The failures' words, in order.
  std::vector<std::string> run() {
    Site site(policy, test::kToday);
    std::vector<std::string> wrong;
    for (const TestCase& test_case : cases) {
      for (const Sample& sample : test_case.samples) {
        const std::string words = judge(test_case, site.ask(sample));
        if (!words.empty()) wrong.push_back(words);
      }
    }
    return wrong;
  }
};

test::SiteFiles with_web_test(const std::string& test) {
  auto files = test::small_site();
  files["web.toml"] += "\n[[test]]\nname = \"t\"\n" + test;
  return files;
}

TEST_CASE("a role's test runs once on each of its hosts") {
  Planned planned(with_web_test("accept = \"https lb > self\"\ndeny = \"https office > self\""));
  CHECK(planned.cases.size() == 6);  // two packets, three hosts
  CHECK(planned.run().empty());
}

TEST_CASE("a failing test says what happened instead") {
  Planned planned(with_web_test("on = \"web-01\"\naccept = \"tcp/81 lb-01 > self\""));
  CHECK(planned.run() == std::vector<std::string>{"is dropped", "is dropped"});
}

TEST_CASE("`by` names who must decide") {
  const std::string test = "on = \"web-01\"\naccept = \"https lb-01 > self\"\nby = ";
  CHECK(Planned(with_web_test(test + "\"web.inbound.app\"")).run().empty());
  CHECK(Planned(with_web_test(test + "\"web.outbound.sql\"")).run().front() ==
        "is accepted, but by web.inbound.app and not by web.outbound.sql");
}

TEST_CASE("drop and reject are told apart, deny is either") {
  CHECK(Planned(with_web_test("drop = \"tcp/81 lb > self\"\nreject = \"tcp/81 self > lb\"\n"
                              "deny = [\"tcp/81 lb > self\", \"tcp/81 self > lb\"]"))
            .run()
            .empty());
  CHECK(
      Planned(with_web_test("on = \"batch\"\ndrop = \"tcp/81 self > 192.0.2.1\"")).run().front() ==
      "is rejected");
}

TEST_CASE(
    "words that name no packet on any host are an error; on one host of several they are not") {
  Planned nowhere(with_web_test("accept = \"https 2001:db8::1 > 10.0.2.10 at=self\""));
  REQUIRE(nowhere.diagnostics.error_count() == 1);
  CHECK(nowhere.diagnostics.all()[0].code == "no-sample");
  Planned elsewhere(with_web_test("deny = \"https self > web-02\""));
  CHECK(!elsewhere.diagnostics.has_errors());
  CHECK(elsewhere.cases.size() == 2);
}

TEST_CASE("a test with an interface runs where the host has it, and must run somewhere") {
  auto files = test::small_site();
  files["site.toml"] +=
      "\n[hosts.lb-03]\nrole = \"lb\"\naddresses = \"203.0.113.13\"\ninterfaces = [\"public\"]\n";
  const auto with = [&](const std::string& packet) {
    auto these = files;
    these["lb.toml"] += "\n[[test]]\nname = \"t\"\ndeny = \"" + packet + "\"\n";
    return these;
  };
  CHECK(Planned(with("tcp/81 10.0.9.9 > self in=private family=4")).cases.size() == 2);
  CHECK(Planned(with("tcp/81 192.0.2.1 > self in=public")).cases.size() == 3);
  // A name that is mistyped would deny whatever the rules are.
  Planned mistyped(with("https internet > self in=pubic"));
  REQUIRE(mistyped.diagnostics.error_count() == 1);
  CHECK(mistyped.diagnostics.all()[0].code == "unknown-interface");
  CHECK(mistyped.diagnostics.all()[0].hint == "did you mean `public`?");
  CHECK(mistyped.cases.empty());
}

TEST_CASE("site.toml's tests ask both ends") {
  auto files = test::small_site();
  files["site.toml"] +=
      "\n[[test]]\nname = \"t\"\naccept = \"tcp/3306 web > primary\"\n"
      "deny = \"tcp/3306 lb > primary\"\n";
  Planned planned(files);
  CHECK(planned.cases.size() == 2);
  CHECK(planned.run().empty());
}

TEST_CASE("where a role skips a block's rule, the block's tests do not run, and it is said") {
  auto files = test::small_site();
  files["rules/base.toml"] =
      "description = \"b\"\n[[inbound]]\nservice = \"ping\"\n"
      "[[test]]\nname = \"t\"\naccept = \"ping lb > self\"\n";
  files["db.toml"] = "role = \"db\"\nuse = \"base\"\n";
  Planned runs(files);
  CHECK(runs.cases.size() == 1);
  CHECK(runs.run().empty());
  files["db.toml"] = "role = \"db\"\nuse = \"base\"\nskip = \"base.inbound.ping\"\n";
  Planned skips(files);
  CHECK(skips.cases.empty());
  REQUIRE(skips.diagnostics.all().size() == 1);
  CHECK(skips.diagnostics.all()[0].code == "block-tests-not-run");
}

}  // namespace
}  // namespace rolewall::ask
