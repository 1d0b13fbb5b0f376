// Exact lint against a count: 500 small rulesets, each asked about every packet of a small space by
// the evaluator, which shares nothing with what lint asks.
#include "ask/rule_lint.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

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

Counted counted(const policy::Policy& policy) {
  Site site(policy, test::kToday);
  Counted all;
  const auto ask = [&](const eval::PacketFields& fields, bool arrives) {
    Sample sample;
    sample.fields = fields;
    (arrives ? sample.receiver : sample.sender) = 0;
    sample.alone = true;
    const Answer answer = site.ask(sample);
    all.verdicts.push_back(answer.verdict);
    for (const Hop& hop : answer.hops) {
      if (hop.decided_by) all.deciding.insert(hop.decided_by->rule);
    }
  };
  for (const char* peer : {"10.0.1.0", "10.0.1.1", "10.0.1.2", "10.0.1.3", "198.51.100.1",
                           "10.0.0.9", "fd00::9", "2001:db8::1"}) {
    for (const std::uint8_t protocol :
         {net::protocol::kTcp, net::protocol::kUdp, net::protocol::kIcmp}) {
      for (const std::uint16_t port : std::initializer_list<std::uint16_t>{79, 80, 81, 82}) {
        for (const bool arrives : {true, false}) {
          eval::PacketFields fields;
          fields.protocol = protocol;
          const net::Address other = *net::parse_address(peer);
          const net::Address own =
              *net::parse_address(net::is_ipv4(other) ? "10.0.0.1" : "fd00::1");
          fields.source = arrives ? other : own;
          fields.destination = arrives ? own : other;
          if (protocol == net::protocol::kIcmp) {
            if (port != 80 || !net::is_ipv4(other)) continue;
            fields.icmp_type = 8;
          } else {
            fields.destination_port = port;
          }
          ask(fields, arrives);
        }
      }
    }
  }
  return all;
}

std::map<std::string, std::set<std::uint32_t>> lines_by_code(const policy::Policy& policy) {
  Site site(policy, test::kToday);
  Diagnostics findings;
  lint_exactly(policy, test::kToday, site, findings);
  std::map<std::string, std::set<std::uint32_t>> lines;
  for (const Diagnostic& finding : findings.all()) lines[finding.code].insert(finding.span.line);
  return lines;
}

TEST_CASE("exact lint finds what a count of all packets finds, of 500 rulesets") {
  Random random(19);
  std::map<std::string, unsigned> seen;
  for (unsigned round = 0; round < 500; ++round) {
    std::vector<std::string> rules;
    const unsigned count = 2 + random.below(5);
    for (unsigned i = 0; i < count; ++i) rules.push_back(drawn_rule(random, i));
    INFO(text_of(rules));
    const policy::Policy policy = policy_of_rules(rules);
    REQUIRE(policy.files.size() >= 1);
    const Counted all = counted(policy);
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
        CHECK(redundant == (decides && rest.verdicts == all.verdicts));
        ++seen[redundant ? "redundant" : "needed"];
      }
    }
  }
  for (const char* what : {"dead", "alive", "redundant", "needed"}) CHECK(seen[what] > 30);
}

}  // namespace
}  // namespace rolewall::ask
