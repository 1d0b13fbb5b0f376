// Exact lint against a count: small rulesets, each asked about every packet of a small space by the
// evaluator, which shares nothing with what lint asks. ROLEWALL_LONG_TESTS=1: 500 of them;
// ROLEWALL_SEED: others.
#include "ask/rule_lint.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernel/random.h"
#include "net/protocol.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

using kernel_judge::Random;

constexpr const char* kSite = R"(
[site]
name = "s"
[networks]
four = "10.0.1.0/30"
[hosts.a]
role = "r"
addresses = ["10.0.0.1", "fd00::1"]
)";

std::string drawn_rule(Random& random, unsigned number) {
  const bool sends = random.percent(20);
  std::string text = fmt::format("[[{}]]\nid = \"r{}\"\n", sends ? "outbound" : "inbound", number);
  const auto service = random.of<const char*>(
      {"", "tcp", "tcp/80", "tcp/80-81", "tcp/81-82", "udp/80", "icmp/echo-request"});
  if (*service != '\0') text += fmt::format("service = \"{}\"\n", service);
  const auto other = random.of<const char*>(
      {"", "10.0.1.0/30", "10.0.1.0/31", "10.0.1.2/31", "10.0.1.2", "any", "internet", "four"});
  if (*other != '\0') text += fmt::format("{} = \"{}\"\n", sends ? "to" : "from", other);
  const auto own = random.of<const char*>({"", "", "", "self", "10.0.0.9"});
  if (*own != '\0') text += fmt::format("{} = \"{}\"\n", sends ? "from" : "to", own);
  const auto action = random.of<const char*>({"accept", "accept", "drop", "reject"});
  text += fmt::format("action = \"{}\"\n", action);
  return text;
}

std::string text_of(const std::vector<std::string>& rules) {
  std::string text = "role = \"r\"\n";
  for (const std::string& rule : rules) text += rule;
  return text;
}

policy::Policy policy_of_rules(const std::vector<std::string>& rules) {
  return test::load_site({{"site.toml", kSite}, {"r.toml", text_of(rules)}});
}

// Of every packet of the space: the verdict, and which rule has decided.
struct Counted {
  std::vector<Verdict> verdicts;
  std::set<std::string> deciding;
};

struct Kind {
  std::uint8_t protocol;
  std::uint16_t number;  // the destination's port, or the ICMP type
};

// One of each class that the words above tell apart, and one that none of them names.
constexpr Kind kKinds[]{
    {net::protocol::kTcp, 79}, {net::protocol::kTcp, 80},  {net::protocol::kTcp, 81},
    {net::protocol::kTcp, 82}, {net::protocol::kUdp, 79},  {net::protocol::kUdp, 80},
    {net::protocol::kIcmp, 8}, {net::protocol::kIcmp, 13}, {net::protocol::kIcmpv6, 128},
    {net::protocol::kGre, 0},
};
// The site's prefix by its halves, the internet, a machine inside, and what is neither: `internet`
// names no link-local address and no group.
constexpr const char* kPeers[]{"10.0.1.0",     "10.0.1.1",    "10.0.1.2", "10.0.1.3", "10.0.0.9",
                               "198.51.100.1", "169.254.1.1", "fd00::9",  "fe80::9"};
// As what `self` names, and does not.
constexpr const char* kReached[]{"10.0.0.1", "224.0.0.1", "fd00::1", "ff02::1"};
constexpr const char* kSources[]{"10.0.0.1", "169.254.1.7", "fd00::1", "fe80::7"};
constexpr const char* kGroups[]{"224.0.0.9", "ff02::9"};

template <class Ask>
void each_packet(const Ask& ask) {
  const auto with = [&](const char* source, const char* destination, bool arrives) {
    const net::Address from = *net::parse_address(source);
    const net::Address to = *net::parse_address(destination);
    if (net::is_ipv4(from) != net::is_ipv4(to)) return;
    for (const Kind& kind : kKinds) {
      if (kind.protocol == net::protocol::kIcmp && !net::is_ipv4(from)) continue;
      if (kind.protocol == net::protocol::kIcmpv6 && net::is_ipv4(from)) continue;
      eval::PacketFields fields;
      fields.source = from;
      fields.destination = to;
      fields.protocol = kind.protocol;
      if (net::has_ports(kind.protocol)) {
        fields.destination_port = kind.number;
      } else if (kind.protocol != net::protocol::kGre) {
        fields.icmp_type = static_cast<std::uint8_t>(kind.number);
      }
      ask(fields, arrives);
    }
  };
  for (const char* peer : kPeers) {
    for (const char* own : kReached) with(peer, own, true);
    for (const char* own : kSources) with(own, peer, false);
  }
  for (const char* group : kGroups) {
    for (const char* own : kSources) with(own, group, false);
  }
}

Counted counted(const policy::Policy& policy) {
  Site site(policy, test::kToday);
  Counted all;
  each_packet([&](const eval::PacketFields& fields, bool arrives) {
    Sample sample;
    sample.fields = fields;
    (arrives ? sample.receiver : sample.sender) = 0;
    sample.alone = true;
    const Answer answer = site.ask(sample);
    all.verdicts.push_back(answer.verdict);
    for (const Hop& hop : answer.hops) {
      if (hop.decided_by) all.deciding.insert(hop.decided_by->rule);
    }
  });
  return all;
}

Diagnostics findings_of(const policy::Policy& policy) {
  Site site(policy, test::kToday);
  Diagnostics findings;
  lint_exactly(policy, test::kToday, site, findings);
  return findings;
}

// Whatever the rules before it do with its packets.
bool is_shadowed(const std::string& code) {
  return code == "shadowed-rule" || code == "contradicted-rule";
}

std::map<std::string, std::set<std::uint32_t>> lines_by_code(const policy::Policy& policy) {
  const Diagnostics findings = findings_of(policy);
  std::map<std::string, std::set<std::uint32_t>> lines;
  for (const Diagnostic& finding : findings.all()) {
    lines[is_shadowed(finding.code) ? "shadowed-rule" : finding.code].insert(finding.span.line);
  }
  return lines;
}

// Follows the hint of the first rule that may be moved; whether there was one.
bool is_alive_where_moved(const std::vector<std::string>& rules) {
  const policy::Policy policy = policy_of_rules(rules);
  const Diagnostics findings = findings_of(policy);
  for (const Diagnostic& finding : findings.all()) {
    constexpr std::string_view kMove = "move it before r.";
    const auto at = finding.hint.find(kMove);
    if (!is_shadowed(finding.code) || at == std::string::npos) continue;
    const std::string name = finding.message.substr(0, finding.message.find(' '));
    const auto number = [](const std::string& full_name) {  // "r.inbound.r3"
      return std::stoul(full_name.substr(full_name.rfind('r') + 1));
    };
    std::vector<std::string> moved = rules;
    const std::string text = moved[number(name)];
    moved.erase(moved.begin() + static_cast<std::ptrdiff_t>(number(name)));
    moved.insert(moved.begin() + static_cast<std::ptrdiff_t>(number(finding.hint.substr(at))),
                 text);
    INFO(finding.message, ": ", finding.hint);
    CHECK(counted(policy_of_rules(moved)).deciding.contains(name));
    return true;
  }
  return false;
}

TEST_CASE("exact lint finds what a count of all packets finds") {
  const char* seed = std::getenv("ROLEWALL_SEED");
  Random random(seed == nullptr ? 19 : static_cast<unsigned>(std::atoi(seed)));
  std::map<std::string, unsigned> seen;
  const unsigned rounds = std::getenv("ROLEWALL_LONG_TESTS") != nullptr ? 500 : 40;
  for (unsigned round = 0; round < rounds; ++round) {
    std::vector<std::string> rules;
    const unsigned count = 2 + random.below(5);
    for (unsigned i = 0; i < count; ++i) rules.push_back(drawn_rule(random, i));
    // Without a line of the log, as the default has one: what else denies before it is redundant.
    if (random.percent(50)) {
      rules.push_back(fmt::format("[[inbound]]\nid = \"r{}\"\naction = \"drop\"\n", count));
    }
    INFO(text_of(rules));
    const policy::Policy policy = policy_of_rules(rules);
    REQUIRE(policy.files.size() >= 1);
    const Counted all = counted(policy);
    if (is_alive_where_moved(rules)) ++seen["moved"];
    auto found = lines_by_code(policy);
    CHECK(found["not-decided"].empty());
    for (const policy::RuleFile& file : policy.files) {
      for (std::size_t i = 0; i < file.rules.size(); ++i) {
        const policy::Rule& rule = file.rules[i];
        INFO(rule.full_name);
        const std::uint32_t line = rule.span.line;
        const bool dead =
            found["shadowed-rule"].contains(line) || found["unmet-rule"].contains(line);
        CHECK(dead == !all.deciding.contains(rule.full_name));
        ++seen[dead ? "dead" : "alive"];
      }
    }
    // One of them left out: the same verdicts or others.
    const unsigned one = random.below(count);
    std::vector<std::string> without = rules;
    without[one] += "enabled = false\n";
    const Counted rest = counted(policy_of_rules(without));
    const std::string name = fmt::format(".r{}", one);
    for (const policy::RuleFile& file : policy.files) {
      for (const policy::Rule& rule : file.rules) {
        if (!rule.full_name.ends_with(name)) continue;
        INFO(rule.full_name);
        const bool redundant = found["redundant-rule"].contains(rule.span.line);
        const bool decides = all.deciding.contains(rule.full_name);
        const bool same = decides && rest.verdicts == all.verdicts;
        if (redundant) CHECK(same);
        // What denies may keep packets out of the log, and what has others behind it is told with
        // them.
        const bool is_told =
            found["shadowed-rule"].empty() && rule.action == policy::Action::Accept;
        if (same && is_told) CHECK(redundant);
        ++seen[redundant ? "redundant" : "needed"];
      }
    }
  }
  for (const char* what : {"dead", "alive", "redundant", "needed", "moved"}) {
    CHECK(seen[what] > 0);
  }
}

std::string hint_of_shadowed(const test::SiteFiles& files) {
  const Diagnostics findings = findings_of(test::load_site(files));
  for (const Diagnostic& finding : findings.all()) {
    if (is_shadowed(finding.code)) return finding.hint;
  }
  return "";
}

TEST_CASE("what a block has before it, no move helps") {
  const std::string wide = "[[inbound]]\nid = \"wide\"\nservice = \"tcp/80-90\"\n";
  const std::string narrow = "[[inbound]]\nid = \"narrow\"\nservice = \"tcp/80\"\n";
  test::SiteFiles files = {{"site.toml", kSite},
                           {"rules/b.toml", wide},
                           {"r.toml", "role = \"r\"\nuse = [\"b\"]\n" + narrow}};
  CHECK(hint_of_shadowed(files) ==
        "delete it, or `skip` b.inbound.wide in the role: a block's rules come first");
  files["r.toml"] = "role = \"r\"\nuse = [\"b\"]\nskip = [\"b.inbound.wide\"]\n" + narrow;
  CHECK(hint_of_shadowed(files).empty());

  files.erase("rules/b.toml");
  files["r.toml"] = "role = \"r\"\n" + wide + narrow;
  CHECK(hint_of_shadowed(files) == "delete it, or move it before r.inbound.wide");
}

TEST_CASE("an early rule comes before all others") {
  const test::SiteFiles files = {
      {"site.toml", kSite},
      {"r.toml",
       "role = \"r\"\n[[inbound]]\nid = \"web\"\nservice = \"tcp/80\"\nfrom = \"10.0.1.1\"\n"
       "[[inbound]]\nid = \"bad\"\nfrom = \"four\"\naction = \"drop\"\nearly = true\n"}};
  CHECK(hint_of_shadowed(files) ==
        "delete it, or leave its packets out of r.inbound.bad: `early` comes before all others");
}

TEST_CASE("rules before it that do something else are another finding") {
  const auto finding_of = [](const std::string& first, const std::string& second) {
    const test::SiteFiles files = {{"site.toml", kSite},
                                   {"r.toml", "role = \"r\"\n[[inbound]]\nid = \"a\"\n" + first +
                                                  "[[inbound]]\nid = \"b\"\n" + second}};
    const Diagnostics findings = findings_of(test::load_site(files));
    for (const Diagnostic& each : findings.all()) {
      if (is_shadowed(each.code)) return each.code + ": " + each.message + "; " + each.hint;
    }
    return std::string();
  };
  const std::string web = "service = \"tcp/80\"\n";
  const std::string drop = "action = \"drop\"\n";
  CHECK(finding_of(web, web) ==
        "shadowed-rule: r.inbound.b never matches: r.inbound.a has the same packets and comes "
        "first; delete one of both");
  CHECK(finding_of(web + drop, web) ==
        "contradicted-rule: r.inbound.b never matches: r.inbound.a has the same packets and comes "
        "first, and drops them; delete the one that is not meant");
  CHECK(finding_of("service = \"tcp/80-90\"\n", web + drop) ==
        "contradicted-rule: r.inbound.b never matches: r.inbound.a has all its packets before it, "
        "and accepts them; delete it, or move it before r.inbound.a");
}

}  // namespace
}  // namespace rolewall::ask
