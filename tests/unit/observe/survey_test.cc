// What status says of other chains, settings and ports, from rulesets written by hand.
#include "observe/survey.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "observe/admitted.h"
#include "observe/nat_helpers.h"
#include "observe/surroundings.h"
#include "ruleset/expr.h"
#include "unit/apply/table.h"

namespace rolewall::observe {
namespace {

using namespace apply::test;

Chain base(std::string name, Hook hook, std::int32_t priority, std::vector<Rule> rules,
           ChainType type = ChainType::Filter, VerdictCode policy = VerdictCode::Accept) {
  Chain chain;
  chain.name = std::move(name);
  chain.base = {type, hook, priority, policy, {}};
  chain.rules = std::move(rules);
  return chain;
}

Chain plain(std::string name, std::vector<Rule> rules) {
  Chain chain;
  chain.name = std::move(name);
  chain.rules = std::move(rules);
  return chain;
}

Table other(Family family, std::string name, std::vector<Chain> chains) {
  Table table;
  table.family = family;
  table.name = std::move(name);
  table.chains = std::move(chains);
  return table;
}

std::vector<Effect> effects_of(Table table) {
  const auto chains = other_chains({{std::move(table)}});
  REQUIRE_EQ(chains.size(), 1);
  return chains[0].effects;
}

std::vector<std::string> codes(const std::vector<Finding>& findings) {
  std::vector<std::string> codes;
  for (const Finding& finding : findings) codes.emplace_back(name_of(finding.code));
  return codes;
}

Expr target(const std::string& name) {
  if (name == "DNAT") return XtTarget{name, 2, Bytes(48)};
  if (name == "REDIRECT") return XtTarget{name, 0, Bytes(40)};
  return XtTarget{name, 0, Bytes(32)};
}

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

// input: (loopback), a map of tcp and udp ports to chains, (default) drops.
Table own() {
  Set ports;
  ports.name = "inbound/ports";
  ports.kind = SetKind::VerdictMap;
  ports.key = {{DataType::InetProtocol, 1}, {DataType::InetService, 2}};
  ports.elements.key_size = 8;
  ports.elements.keys = {kTcp, 0, 0, 0, 0, 22, 0, 0, kTcp, 0, 0, 0, 1, 187, 0, 0};
  ports.elements.verdicts = {{.code = VerdictCode::Jump, .chain = "a.inbound.ssh", .queue = 0},
                             {.code = VerdictCode::Jump, .chain = "a.inbound.web", .queue = 0}};
  Table table = other(kOwnFamily, std::string(kOwnTable), {});
  table.sets = {ports};
  table.chains = {
      base("input", Hook::Input, 0,
           {rule("(loopback)", {verdict(VerdictCode::Accept)}),
            rule("", {Meta{MetaKey::L4Proto, 0}, Payload{PayloadBase::Transport, 2, 2, 1},
                      Lookup{"inbound/ports", 0, LookupResult::Verdict, 0, false}}),
            rule("a.inbound.range", {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, Value::u8(kUdp)},
                                     Payload{PayloadBase::Transport, 2, 2, 0},
                                     Range{false, 0, Value::be16(5000), Value::be16(5009)},
                                     verdict(VerdictCode::Accept)}),
            rule("(default)", {verdict(VerdictCode::Drop)})},
           ChainType::Filter, VerdictCode::Drop),
      plain("a.inbound.ssh", {rule("a.inbound.ssh", {Payload{PayloadBase::Network, 12, 4, 0},
                                                     Cmp{CmpOp::Eq, 0, Value(Bytes{10, 0, 0, 1})},
                                                     verdict(VerdictCode::Accept)})}),
      plain("a.inbound.web", {rule("a.inbound.web", {verdict(VerdictCode::Drop)}),
                              rule("a.inbound.web", {verdict(VerdictCode::Accept)})}),
      base("forward", Hook::Forward, 0, {rule("(default)", {verdict(VerdictCode::Drop)})}),
      base("output", Hook::Output, 0, {rule("(default)", {verdict(VerdictCode::Drop)})})};
  return table;
}

}  // namespace

TEST_CASE("a chain may do what any chain that it can jump to does") {
  CHECK(effects_of(other(Family::Ip, "t",
                         {base("c", Hook::Input, 0, {rule("", {verdict(VerdictCode::Accept)})})}))
            .empty());
  CHECK_EQ(effects_of(other(
               Family::Ip, "t",
               {base("c", Hook::Input, 0, {rule("", {verdict(VerdictCode::Goto, "d")})}),
                plain("d", {rule("", {verdict(VerdictCode::Jump, "d")}), rule("", {Reject{}})}),
                plain("not-reached", {rule("", {Notrack{}})})})),
           std::vector{Effect::Drops});
  CHECK_EQ(effects_of(other(
               Family::Ip, "t",
               {base("c", Hook::Prerouting, -100,
                     {rule("", {target("DNAT")}), rule("", {target("LOG")})}, ChainType::Nat)})),
           std::vector{Effect::TranslatesDestination});
  for (const Expr& redirect : {target("REDIRECT"), Expr(Redirect{})}) {
    CHECK_EQ(effects_of(other(
                 Family::Ip, "t",
                 {base("c", Hook::Prerouting, -100, {rule("", {redirect})}, ChainType::Nat)})),
             std::vector{Effect::Redirects});
  }
  CHECK_EQ(effects_of(
               other(Family::Ip, "t", {base("c", Hook::Input, 0, {rule("", {target("TARPIT")})})})),
           std::vector{Effect::Unread});
  CHECK_EQ(
      effects_of(other(Family::Netdev, "t", {base("c", Hook::Ingress, 0, {rule("", {Fwd{}})})})),
      std::vector{Effect::Leaves});
}

TEST_CASE("a verdict map whose elements were not read may hold any verdict") {
  Table table = other(
      Family::Inet, "t",
      {base("c", Hook::Input, 0, {rule("", {Lookup{"m", 0, LookupResult::Verdict, 0, false}})}),
       plain("d", {rule("", {Notrack{}})})});
  Set map;
  map.name = "m";
  map.kind = SetKind::VerdictMap;
  map.key = {{DataType::InetService, 2}};
  table.sets = {map};
  CHECK_EQ(effects_of(table), std::vector{Effect::Drops, Effect::Untracks});
}

TEST_CASE("chains stand before or after ours by hook, priority and, where these are equal, age") {
  const auto order = [](std::vector<Table> tables) {
    return other_chains({std::move(tables)}).at(0).order;
  };
  const auto input = [](std::int32_t priority, ChainType type = ChainType::Filter) {
    return other(Family::Ip, "t", {base("c", Hook::Input, priority, {}, type)});
  };
  CHECK_EQ(order({own(), input(-1)}), Order::Before);
  CHECK_EQ(order({own(), input(1)}), Order::After);
  CHECK_EQ(order({own(), input(0)}), Order::Before);
  CHECK_EQ(order({input(0), own()}), Order::After);
  CHECK_EQ(order({own(), input(-50, ChainType::Nat)}), Order::After);
  CHECK_EQ(order({own(), other(Family::Ip, "t", {base("c", Hook::Prerouting, 300, {})})}),
           Order::Before);
  CHECK_EQ(order({own(), other(Family::Ip, "t", {base("c", Hook::Postrouting, -300, {})})}),
           Order::After);
  Table dormant = input(0);
  dormant.flags = 1;
  CHECK(other_chains({{own(), dormant}}).empty());
}

TEST_CASE("what admits a port, whoever asks") {
  const Table table = own();
  const Admission admission(table);
  using Rules = std::set<std::string>;
  const auto of = [&](bool ipv6, Port port) {
    return admission.of(ipv6, port, std::nullopt, false);
  };
  CHECK_EQ(of(false, {kTcp, 22}), Rules{"a.inbound.ssh"});
  CHECK_EQ(of(false, {kTcp, 443}), Rules{});  // a drop stands in front
  CHECK_EQ(of(false, {kTcp, 23}), Rules{});
  CHECK_EQ(of(false, {kUdp, 22}), Rules{});
  CHECK_EQ(of(true, {kUdp, 5000}), Rules{"a.inbound.range"});
  CHECK_EQ(of(false, {kUdp, 5009}), Rules{"a.inbound.range"});
  CHECK_EQ(of(false, {kUdp, 5010}), Rules{});
  CHECK_EQ(of(false, {kTcp, 5000}), Rules{});
}

TEST_CASE("an address that the socket has, and a rule about another") {
  Table table = own();
  table.chains[0].rules.insert(
      table.chains[0].rules.begin(),
      rule("a.inbound.there",
           {Payload{PayloadBase::Network, 16, 4, 0}, Cmp{CmpOp::Eq, 0, Value(Bytes{10, 0, 0, 9})},
            verdict(VerdictCode::Accept)}));
  const auto at = [&](const char* address) {
    return Admission(table).of(false, {kTcp, 80}, net::parse_address(address), false);
  };
  CHECK_EQ(at("10.0.0.9"), std::set<std::string>{"a.inbound.there"});
  CHECK(at("10.0.0.8").empty());
}

TEST_CASE("listeners without a rule, and rules without a listener") {
  const auto any = *net::parse_address("0.0.0.0");
  const auto findings =
      listening(own(),
                {{.protocol = kTcp, .address = any, .port = 22, .program = "sshd"},
                 {.protocol = kTcp, .address = any, .port = 443, .program = "web"}},
                false);
  REQUIRE_EQ(codes(findings), std::vector<std::string>{"unadmitted-listener", "idle-rule"});
  CHECK_EQ(findings[0].what, "web listens on tcp/443 (at 0.0.0.0), but no rule admits it");
  CHECK_EQ(findings[1].what, "a.inbound.range admits udp/5000-5009, but nothing listens there");
}

TEST_CASE("UDP ports that clients get, too") {
  const auto any = *net::parse_address("0.0.0.0");
  const auto socket = [&](std::uint16_t port) {
    return Listening{
        .protocol = kUdp, .address = any, .port = port, .may_be_client = true, .program = "voice"};
  };
  // It may be what the rule is for, and then nothing is idle.
  const auto findings = listening(own(), {socket(5001)}, false);
  CHECK_EQ(codes(findings), std::vector<std::string>{"idle-rule"});
  CHECK(findings[0].what.starts_with("a.inbound.ssh "));
  const auto others = listening(own(), {socket(40000)}, false);
  REQUIRE(!others.empty());
  CHECK_EQ(others[0].what,
           "voice listens on udp/40000 (at 0.0.0.0), but no rule admits it; or it "
           "is a client that waits for an answer");
}

TEST_CASE("nothing listens for a translation to another machine") {
  Table table = own();
  for (Chain& chain : table.chains) {
    for (Rule& rule : chain.rules) {
      if (rule.comment == "a.inbound.range") rule.comment = "a.nat.range";
    }
  }
  for (const Finding& finding : listening(table, {}, true)) {
    CHECK(finding.what.find("a.nat.range") == std::string::npos);
  }
}

TEST_CASE("a helper needs its module where addresses are translated") {
  Table table = own();
  for (const char* name : {"ftp", "sane"}) {
    Object object;
    object.type = ruleset::object_type::kCtHelper;
    object.body = ruleset::CtHelper{name, 1, kTcp};
    table.objects.push_back(std::move(object));
  }
  const std::set<std::string> none{"nf_conntrack_ftp"};
  CHECK(missing_nat_helpers(table, false, none).empty());
  CHECK(missing_nat_helpers(table, true, std::nullopt).empty());
  CHECK(missing_nat_helpers(table, true, std::set<std::string>{"nf_nat_ftp"}).empty());
  const auto findings = missing_nat_helpers(table, true, none);
  REQUIRE_EQ(codes(findings), std::vector<std::string>{"no-nat-helper"});
  CHECK(findings[0].what.find("nf_nat_ftp") != std::string::npos);
}

TEST_CASE("conntrack is nearly full at four fifths") {
  ruleset::Host machine;
  machine.conntrack.max = 1000;
  KernelSettings settings;
  settings.connections = 799;
  CHECK(kernel_settings(own(), machine, settings).empty());
  settings.connections = 800;
  CHECK_EQ(codes(kernel_settings(own(), machine, settings)),
           std::vector<std::string>{"conntrack-full"});
}

TEST_CASE("iptables-legacy is named, whether a table of ours is in force or not") {
  Surroundings around;
  around.kernel.legacy_tables = {"ip filter"};
  CHECK_EQ(codes(survey({}, nullptr, {}, around).findings),
           std::vector<std::string>{"legacy-iptables"});
  around.kernel.legacy_tables.clear();
  CHECK(survey({}, nullptr, {}, around).findings.empty());
}

TEST_CASE("a chain on a device that is not there meets no packet, nor one that a star is to name") {
  Surroundings around;
  around.machine.interfaces.emplace_back().device = "eth0";
  Chain chain = base("i", Hook::Ingress, 0, {});
  const auto found = [&](const char* device) {
    chain.base->devices = {device};
    return survey({{other(Family::Netdev, "t", {chain})}}, nullptr, {}, around).findings;
  };
  for (const char* there : {"eth0", "eth*", "lo"}) CHECK(found(there).empty());
  CHECK_EQ(codes(found("eth1")), std::vector<std::string>{"absent-device"});
  const auto letter = found("eth\\*");
  REQUIRE_EQ(letter.size(), 1);
  CHECK(letter[0].what.find("the device eth*, which") != std::string::npos);
}

TEST_CASE("rules expire after their last day") {
  using namespace std::chrono;
  const sys_days today = year{2026} / 11 / 21;
  const auto code = [&](const char* expires) {
    const auto findings = expiring(
        {{"a.inbound.ssh", {.file = "a.toml", .line = 3, .column = 1, .expires = expires}}}, today);
    return std::string(findings.empty() ? "" : name_of(findings[0].code));
  };
  CHECK_EQ(code(""), "");
  CHECK_EQ(code("2026-11-20"), "expired-rule");
  CHECK_EQ(code("2026-11-21"), "expiring-rule");
  CHECK_EQ(code("2026-12-21"), "expiring-rule");
  CHECK_EQ(code("2026-12-22"), "");
}

}  // namespace rolewall::observe
