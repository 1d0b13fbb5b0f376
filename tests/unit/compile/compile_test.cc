// What must hold of every compiled host, on the example site; and cases that once went wrong.
#include "compile/compile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "compile/address_sets.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "policy/effective.h"
#include "policy/load.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"

namespace rolewall::compile {
namespace {

namespace fs = std::filesystem;

constexpr policy::Date kDate{std::chrono::year{2026}, std::chrono::month{11}, std::chrono::day{21}};

policy::Policy load(const std::string& directory) {
  Diagnostics diagnostics;
  policy::Policy policy = policy::load(directory, {ROLEWALL_SOURCE "/rules", kDate}, diagnostics);
  for (const auto& d : diagnostics.all()) {
    if (d.severity == Severity::Error) FAIL(policy.sources.format(d.span), ": ", d.message);
  }
  return policy;
}

// A site of one host with this role, in a directory of its own.
class OneHost {
 public:
  explicit OneHost(const std::string& role) {
    char path[] = "/tmp/rolewall-compile-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    directory_ = path;
    std::ofstream(directory_ / "site.toml") << R"([site]
name = "one"
internal = "inside"
[networks]
inside = ["10.0.0.0/8", "fd00::/8"]
[interfaces.lan]
device = "eth1"
behind = "inside"
[hosts.h]
role = "r"
addresses = ["192.0.2.1", "2001:db8::1"]
interfaces = { lan = "eth1", wan = "eth0" }
)";
    std::ofstream(directory_ / "r.toml") << "role = \"r\"\n" + role;
    policy_ = load(directory_.string());
  }
  ~OneHost() { fs::remove_all(directory_); }

  ruleset::Snapshot compiled(bool optimise = true) const {
    return compile(policy_, 0, {kDate, optimise});
  }

 private:
  fs::path directory_;
  policy::Policy policy_;
};

eval::Fate arrive(const ruleset::Snapshot& snapshot, eval::PacketFields fields) {
  eval::Packet packet = eval::build(fields);
  packet.in_device = "eth0";
  return eval::Evaluator(snapshot.ruleset, snapshot.host).arrive(packet).fate();
}

net::Address address(const char* text) {
  return *net::parse_address(text);
}

eval::PacketFields fields_of(const net::Address& source, const net::Address& destination) {
  eval::PacketFields fields;
  fields.source = source;
  fields.destination = destination;
  return fields;
}

TEST_CASE("every host of the example site: whole, valid, and the same each time") {
  const policy::Policy policy = load(ROLEWALL_SOURCE "/policies");
  REQUIRE_EQ(policy.hosts.size(), 8);
  for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
    CAPTURE(policy.hosts[host].name);
    for (const bool optimise : {true, false}) {
      const auto snapshot = compile(policy, host, {kDate, optimise});
      const auto flaw = ruleset::verify(snapshot.ruleset);
      if (flaw) FAIL(flaw->path, ": ", flaw->what);
      CHECK(snapshot == compile(policy, host, {kDate, optimise}));

      const ruleset::Table& table = snapshot.ruleset.tables.at(0);
      for (const ruleset::Chain& chain : table.chains) {
        CHECK_MESSAGE(!chain.rules.empty(), chain.name);
      }
      const auto effective = policy::effective_policy(policy, host, kDate);
      for (const auto* rules :
           {&effective.inbound, &effective.outbound, &effective.forward, &effective.nat}) {
        for (const auto& rule : *rules) {
          CAPTURE(rule.rule->full_name);
          const ruleset::Chain* chain = ruleset::find_chain(table, rule.rule->full_name);
          REQUIRE(chain != nullptr);
          CHECK_FALSE(chain->base);
          // The counter comes first, counts whatever jumps here, and is a rule of its own.
          REQUIRE_FALSE(chain->rules.empty());
          REQUIRE_EQ(chain->rules[0].exprs.size(), 1);
          CHECK(std::holds_alternative<ruleset::Counter>(chain->rules[0].exprs[0]));
          for (const auto& line : chain->rules) CHECK_EQ(line.comment, rule.rule->full_name);
          CHECK_EQ(snapshot.sources.count(rule.rule->full_name), 1);
        }
      }
    }
  }
}

TEST_CASE("built-in steps stand in their order") {
  const policy::Policy policy = load(ROLEWALL_SOURCE "/policies");
  const auto snapshot = compile(policy, *policy::find_host(policy, "lb-01"), {kDate, true});
  const auto steps_of = [&](std::string_view name) {
    const auto* chain = ruleset::find_chain(snapshot.ruleset.tables[0], name);
    REQUIRE(chain);
    std::vector<std::string> steps;
    for (const auto& rule : chain->rules) {
      const auto* jump = std::get_if<ruleset::ImmediateVerdict>(&rule.exprs.back());
      const auto* map = std::get_if<ruleset::Lookup>(&rule.exprs.back());
      const std::string step = !rule.comment.empty() ? rule.comment.text()
                               : jump != nullptr     ? jump->verdict.chain
                               : map != nullptr      ? map->set
                                                     : "";
      if (steps.empty() || steps.back() != step) steps.push_back(step);
    }
    return steps;
  };
  using Steps = std::vector<std::string>;
  CHECK(steps_of("input") == Steps{"(established)", "(loopback)", "unusual", "(spoofed)",
                                   "hardening.inbound.flood", "inbound/ports", "inbound/protocols",
                                   "(default)"});
  // What leads there is added with the first ban or opening.
  CHECK(steps_of("allowed") == Steps{"(allowed)"});
  CHECK(steps_of("banned-input") == Steps{"banned-drop"});
  CHECK(steps_of("banned-output") == Steps{"banned-reject"});
  CHECK(steps_of("banned-forward") == Steps{"banned-drop"});
  CHECK(steps_of("banned-drop") == Steps{"related", "", "(banned)"});
  CHECK(steps_of("banned-reject") == Steps{"related", "", "(banned)"});
  CHECK(steps_of("forward") == Steps{"(established)", "unusual", "(spoofed)", "(default)"});
  CHECK(steps_of("output") == Steps{"(established)", "(loopback)", "unusual", "outbound/ports",
                                    "outbound/protocols", "(default)"});
  CHECK(steps_of("unusual") == Steps{"related", "(invalid)"});
  CHECK(steps_of("related") == Steps{"(established)"});
}

TEST_CASE("ping in IPv4 does not admit protocol 1 in IPv6") {
  // Enough rules for a map of protocols.
  const OneHost site(R"(
inbound = [{ service = "ping" }, { service = "ndp" }, { service = "mld" }, { service = "ssh" }]
)");
  for (const bool optimise : {true, false}) {
    const auto snapshot = site.compiled(optimise);
    eval::PacketFields ping = fields_of(address("2001:db8::9"), address("2001:db8::1"));
    ping.protocol = net::protocol::kIcmpv6;
    ping.icmp_type = 128;
    CHECK(arrive(snapshot, ping) == eval::Fate::Accept);
    ping.protocol = net::protocol::kIcmp;
    ping.icmp_type = 8;
    CHECK(arrive(snapshot, ping) == eval::Fate::Drop);
  }
}

TEST_CASE("no chain is left empty where wide ranges of one rule lie side by side") {
  const OneHost site(R"(
[[inbound]]
id = "a"
service = ["tcp/100-200", "tcp/201-300 from 1000-2000", "tcp/301-65535"]
action = "reject"
[[inbound]]
id = "b"
service = ["tcp/22", "tcp/0-79", "protocol/6"]
from = "10.0.0.0/8"
[[inbound]]
id = "c"
service = ["udp/500-600", "udp/601-700", "udp/5"]
)");
  for (const bool optimise : {true, false}) {
    const ruleset::Snapshot snapshot = site.compiled(optimise);
    for (const ruleset::Chain& chain : snapshot.ruleset.tables[0].chains) {
      CHECK_MESSAGE(!chain.rules.empty(), chain.name);
    }
  }
}

// The kernel's hash set of a known size is made once; a list that grows a little keeps it.
TEST_CASE("a long list of addresses says how many it has room for") {
  const auto size_for = [](std::uint32_t count) {
    AddressCondition condition;
    std::vector<net::Interval<net::Ipv4>> singles;
    for (std::uint32_t i = 0; i < count; ++i) {
      singles.push_back({net::Ipv4{0x0a000000 + i * 2}, net::Ipv4{0x0a000000 + i * 2}});
    }
    condition.set = {net::IntervalSet<net::Ipv4>::from(std::move(singles)), {}};
    condition.name = "many";
    TableBuilder table;
    AddressSets sets(table, true);
    const auto tests = sets.tests(condition, match::IpVersion::V4, "owner");
    REQUIRE(tests.size() == 1);
    const ruleset::Table made = table.take().tables.at(0);
    const ruleset::Set* set = ruleset::find_set(made, tests[0].set);
    REQUIRE(set != nullptr);
    CHECK(set->elements.count() == count);
    return set->size;
  };
  CHECK(size_for(4095) == 0);
  CHECK(size_for(4096) == 6144);
  CHECK(size_for(5400) == 6144);
  CHECK(size_for(5500) == 12288);
  CHECK(size_for(100'000) == 196'608);
  CHECK(size_for(150'000) == 196'608);
}

TEST_CASE("a thousand sources for one service are one map, and the first that matches decides") {
  std::string role;
  for (int i = 0; i < 1000; ++i) {
    role += "[[inbound]]\nid = \"r" + std::to_string(i) +
            "\"\nservice = \"tcp/80\"\nfrom = \"198.18." + std::to_string(i / 8) + "." +
            std::to_string(i % 8 * 32) + "/27\"\n" + (i % 3 == 0 ? "action = \"drop\"\n" : "");
  }
  role += "[[inbound]]\nid = \"all\"\nservice = \"tcp/80\"\n";
  const OneHost site(role);
  const auto snapshot = site.compiled();
  eval::Evaluator evaluator(snapshot.ruleset, snapshot.host);
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    eval::PacketFields fields =
        fields_of(net::Address(net::Ipv4{0xc6120000U + static_cast<unsigned>(i) * 32 + 5}),
                  address("192.0.2.1"));
    fields.destination_port = 80;
    eval::Packet packet = eval::build(fields);
    packet.in_device = "eth0";
    const auto journey = evaluator.arrive(packet);
    CHECK(journey.fate() == (i % 3 == 0 ? eval::Fate::Drop : eval::Fate::Accept));
    const auto& last = journey.hooks.back();
    const auto& chain = snapshot.ruleset.tables[0].chains[last.decision.chain];
    CHECK_EQ(chain.name, "r.inbound.r" + std::to_string(i));
    most = std::max(most, last.steps.size());
  }
  CHECK_LT(most, 40);  // a thousand rules tried one by one would be a thousand steps
}

// Each range stands in the list of each port within it: a hundred of each would be ten thousand
// jumps.
TEST_CASE("wide ranges over many single ports are tested in turn rather than multiplied") {
  constexpr int kRules = 100;
  std::string role;
  for (int i = 0; i < kRules; ++i) {
    role += "[[inbound]]\nid = \"range" + std::to_string(i) + "\"\nservice = \"tcp/" +
            std::to_string(1000 + i) + "-60000\"\nfrom = \"198.18." + std::to_string(i) +
            ".0/24\"\n" + (i % 3 == 0 ? "action = \"drop\"\n" : "");
    role += "[[inbound]]\nid = \"port" + std::to_string(i) + "\"\nservice = \"tcp/" +
            std::to_string(2000 + i) + "\"\nfrom = \"198.18.0.0/16\"\n";
  }
  const OneHost site(role);
  const auto mapped = site.compiled();
  const auto plain = site.compiled(false);
  std::size_t rules = 0;
  for (const ruleset::Chain& chain : mapped.ruleset.tables[0].chains) rules += chain.rules.size();
  CHECK_LT(rules, 10 * kRules);
  for (int i = 0; i < kRules; ++i) {
    const net::Address source(net::Ipv4{0xc6120005U + static_cast<unsigned>(i) * 256});
    for (const int port : {1000 + i, 2000 + i, 2099 - i, 999}) {
      eval::PacketFields fields = fields_of(source, address("192.0.2.1"));
      fields.destination_port = static_cast<std::uint16_t>(port);
      CHECK(arrive(mapped, fields) == arrive(plain, fields));
    }
  }
}

}  // namespace
}  // namespace rolewall::compile
