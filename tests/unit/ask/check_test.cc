// What is done of a check, and that whoever answers the tests is heard: their failures, what they
// leave out, and that they cannot answer at all.
#include "ask/check.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "site_text.h"

namespace rolewall::ask {
namespace {

using namespace std::chrono;

constexpr const char* kTest = R"(
[[test]]
name   = "the database is asked by the web servers alone"
accept = ["tcp/3306 web > db-01"]
deny   = ["tcp/3306 lb > db-01"]
)";

policy::Policy tested_site() {
  test::SiteFiles files = test::small_site();
  files["site.toml"] += kTest;
  return test::load_site(files);
}

Answer answer_with(Verdict verdict) {
  Answer answer;
  answer.verdict = verdict;
  return answer;
}

TEST_CASE("everything is lint, the tests, and each host's size; the tests alone are less") {
  const auto policy = tested_site();
  const auto all = check(policy, test::kToday, {}, Extent::Everything);
  REQUIRE(all);
  CHECK(all->passed());
  CHECK(all->tests.tests == 1);
  CHECK(all->tests.packets == 2);
  CHECK(all->tests.samples > 2);
  REQUIRE(all->hosts.size() == policy.hosts.size());
  CHECK(all->hosts.front().host == policy.hosts.front().name);
  CHECK(std::ranges::all_of(all->hosts, [](const HostSize& host) { return host.rules > 0; }));
  CHECK(!all->findings.all().empty());

  const auto without = check(policy, test::kToday, {}, Extent::WithoutSizes);
  REQUIRE(without);
  CHECK(without->findings.all().size() == all->findings.all().size());
  CHECK(without->hosts.empty());

  const auto tests = check(policy, test::kToday, {}, Extent::TestsAlone);
  REQUIRE(tests);
  CHECK(tests->tests.samples == all->tests.samples);
  CHECK(tests->hosts.empty());
  CHECK(tests->findings.all().size() < all->findings.all().size());
}

// `rules`: of the only role.
std::vector<std::string> found_with(const std::string& rules, const std::string& mode = "enforce") {
  const policy::Policy policy =
      test::load_site({{"site.toml",
                        "[site]\nname = \"s\"\nmanagement = \"office\"\n"
                        "[defaults]\nmode = \"" +
                            mode +
                            "\"\n"
                            "[networks]\noffice = [\"198.51.100.0/24\"]\n"
                            "[hosts.a]\nrole = \"r\"\n"
                            "addresses = [\"10.0.0.1\", \"2001:db8::1\"]\n"},
                       {"r.toml", "role = \"r\"\n" + rules}});
  const auto checked = check(policy, test::kToday, {}, Extent::Everything);
  REQUIRE(checked);
  std::vector<std::string> codes;
  for (const Diagnostic& finding : checked->findings.all()) {
    if (finding.code.ends_with("-shut-out") || finding.code == "management-limited")
      codes.push_back(finding.code);
  }
  return codes;
}

TEST_CASE("what the guard would refuse is found without the machine") {
  const std::string ssh = "[[inbound]]\nid = \"s\"\nservice = \"tcp/22\"\nfrom = \"management\"\n";
  const std::string half =
      "[[inbound]]\nid = \"s\"\nservice = \"tcp/22\"\nfrom = \"198.51.100.0/25\"\n";
  const std::string in = "[[inbound]]\nid = \"n\"\nservice = [\"icmpv6/135\", \"icmpv6/136\"]\n";
  const std::string out = "[[outbound]]\nid = \"n\"\nservice = [\"icmpv6/135\", \"icmpv6/136\"]\n";
  using Codes = std::vector<std::string>;
  CHECK(found_with(ssh + in + out).empty());
  CHECK(found_with(in + out) == Codes{"management-shut-out"});
  CHECK(found_with(half + in + out) == Codes{"management-shut-out"});
  CHECK(found_with(ssh) == Codes{"neighbours-shut-out"});
  CHECK(found_with(ssh + in) == Codes{"neighbours-shut-out"});
  CHECK(found_with(ssh + out) == Codes{"neighbours-shut-out"});
  CHECK(found_with(half).size() == 2);
  CHECK(found_with(half, "audit").empty());
  // A forged address uses a limit up (G16); what is behind it is not asked.
  const std::string open = "[[inbound]]\nid = \"o\"\nservice = \"tcp/22\"\n";
  for (const std::string limit :
       {"limit = \"30/minute\"\n", "limit = \"30/minute in all\"\n", "connections = 10\n"}) {
    INFO(limit);
    CHECK(found_with(ssh + limit + in + out) == Codes{"management-limited"});
    CHECK(found_with(ssh + limit + open + in + out) == Codes{"management-limited"});
    CHECK(found_with(ssh + open + limit + in + out).empty());
    // A rule before it that passes on what is within its limit counts as well.
    const std::string flood = "[[inbound]]\nid = \"f\"\nservice = \"tcp\"\naction = \"drop\"\n";
    CHECK(found_with(flood + limit + ssh + in + out) == Codes{"management-limited"});
    CHECK(found_with(flood + limit + "from = [\"!site\", \"!management\"]\n" + ssh + in + out)
              .empty());
    CHECK(found_with(ssh + flood + limit + in + out).empty());
  }
}

TEST_CASE("hosts that are alike are told of each, and one that manages is asked by itself") {
  const policy::Policy policy = test::load_site(
      {{"site.toml",
        "[site]\nname = \"s\"\nmanagement = \"office\"\n"
        "[networks]\noffice = [\"10.0.0.1\"]\n"
        "[hosts.a]\nrole = \"r\"\naddresses = [\"10.0.0.1\"]\n"
        "[hosts.b]\nrole = \"r\"\naddresses = [\"10.0.0.2\"]\n"
        "[hosts.c]\nrole = \"r\"\naddresses = [\"10.0.0.3\"]\n"},
       {"r.toml", "role = \"r\"\n[[inbound]]\nid = \"w\"\nservice = \"tcp/443\"\n"}});
  const auto checked = check(policy, test::kToday, {}, Extent::Everything);
  REQUIRE(checked);
  std::vector<std::string> about;
  for (const Diagnostic& finding : checked->findings.all()) {
    if (finding.code == "management-shut-out") about.push_back(finding.message.substr(1, 1));
  }
  CHECK(about == std::vector<std::string>{"b", "c"});
}

TEST_CASE("where the policies have errors nobody is asked") {
  const auto policy = tested_site();
  Diagnostics findings;
  findings.error("unknown-name", {}, "nobody is called so");
  const Answerer never = [](Site&, const std::vector<TestCase>&) -> Result<Asker> {
    FAIL("asked");
    return fail(ErrorKind::System, "asked");
  };
  const auto checked = check(policy, test::kToday, findings, Extent::Everything, never);
  REQUIRE(checked);
  CHECK(!checked->passed());
  CHECK(checked->findings.error_count() == 1);
  CHECK(checked->tests.cases.empty());
  CHECK(checked->hosts.empty());
}

TEST_CASE("each sample is asked once, in order, and judged; what cannot be asked is counted") {
  const auto policy = tested_site();
  std::vector<std::pair<std::size_t, std::size_t>> asked;
  const Answerer accepts_all = [&](Site&, const std::vector<TestCase>& cases) -> Result<Asker> {
    CHECK(cases.size() == 2);
    return [&](std::size_t test_case, std::size_t sample) -> AnswerOrWhyNot {
      asked.emplace_back(test_case, sample);
      if (sample == 0) return std::unexpected("the first is left out");
      return answer_with(Verdict::Accept);
    };
  };
  const auto checked = check(policy, test::kToday, {}, Extent::TestsAlone, accepts_all);
  REQUIRE(checked);
  CHECK(std::ranges::is_sorted(asked));
  CHECK(std::ranges::adjacent_find(asked) == asked.end());
  CHECK(checked->tests.samples == asked.size() - 2);
  CHECK(checked->tests.left_out ==
        std::map<std::string, std::size_t>{{"the first is left out", 2}});
  CHECK(checked->tests.failed_tests == 1);
  CHECK(!checked->passed());
  REQUIRE(!checked->tests.failures.empty());
  for (const TestFailure& failure : checked->tests.failures) {
    CHECK(failure.test_case == 1);
    CHECK(failure.wrong == "is accepted");
  }
}

TEST_CASE("whoever cannot answer at all fails the check") {
  const auto policy = tested_site();
  const Answerer nobody = [](Site&, const std::vector<TestCase>&) -> Result<Asker> {
    return fail(ErrorKind::System, "no namespaces here");
  };
  const auto checked = check(policy, test::kToday, {}, Extent::TestsAlone, nobody);
  REQUIRE(!checked);
  CHECK(checked.error().message == "no namespaces here");
}

}  // namespace
}  // namespace rolewall::ask
