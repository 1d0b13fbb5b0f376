// Rulesets that nft makes, read and written back: the kernel's listing stays the same. What is not
// modelled is named.
#include <doctest/doctest.h>

#include "netlink/netlink.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"
#include "support/netns.h"
#include "unit/netlink/ruleset_builder.h"

namespace rolewall::netlink {
namespace {

using namespace test;
using rolewall::test::fresh_network;
using rolewall::test::load_nft;
using rolewall::test::output_of;

constexpr const char* kForeign = R"(
table inet fw {
  comment "by hand"
  set blocked { type ipv4_addr; flags interval; comment "abusers"
    elements = { 10.0.0.0/8, 192.168.1.5, 192.168.1.6-192.168.1.9, 240.0.0.0/4 }
  }
  set low { type ipv4_addr; flags interval; elements = { 0.0.0.0-0.0.0.5, 1.1.1.1 }
  }
  set marked { type mark; flags interval; elements = { 1-5 }
  }
  set inside { type ifname; flags interval; elements = { "eth*", "lo" }
  }
  set pairs { type ipv4_addr . inet_service; flags interval
    elements = { 1.2.3.4/31 . 80-90, 10.0.0.0/8 . 443 }
  }
  set sources { type ipv6_addr; size 1000; flags dynamic,timeout; timeout 1m
  }
  map zones { type ipv4_addr : mark; flags interval; elements = { 1.2.3.0/24 : 5, 1.2.4.0/24 : 6 }
  }
  map services { type inet_service : verdict; elements = { 80 : jump web, 22 : accept, * : drop }
  }
  set held { type ether_addr; flags timeout; timeout 1h; gc-interval 10s
    elements = { 00:11:22:33:44:55 comment "a friend" }
  }
  chain web { ip saddr @blocked counter drop comment "web.blocked"
    iifname { "eth0", "ppp*" } tcp dport { 1-5, 7, 65000-65535 } accept
  }
  chain input { type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    tcp dport vmap @services
    ip saddr . tcp dport @pairs meta mark set 0x00000007
    meta mark set ip saddr map @zones
    ct mark @marked drop
    update @sources { ip6 saddr limit rate over 10/second burst 3 packets } drop
    tcp flags & (syn | ack) == syn limit rate 5/minute log prefix "new: " level info flags all
    icmpv6 type { nd-neighbor-solicit, echo-request } accept
    udp dport 60000-61000 quota over 5 mbytes drop
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
}
)";

TEST_CASE("nft's ruleset, read and written back") {
  fresh_network();
  REQUIRE(load_nft(kForeign) == "");
  const std::string before = output_of("nft -s list ruleset");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump_table(Family::Inet, "fw");
  REQUIRE(read);
  REQUIRE(*read);
  const Table& table = **read;
  for (const Set& set : table.sets) CHECK(set.unsupported == "");

  const Set& blocked = *find_set(table, "blocked");
  CHECK(blocked.comment == "abusers");
  CHECK(blocked.key == std::vector<KeyField>{kIpv4});
  CHECK(blocked.elements.count() == 4);
  CHECK(blocked.elements.key_ends == std::vector<std::uint8_t>{10, 255, 255, 255, 192, 168, 1, 5,
                                                               192, 168, 1, 9, 255, 255, 255, 255});
  const Set& pairs = *find_set(table, "pairs");
  CHECK(pairs.key == std::vector<KeyField>{kIpv4, kPort});
  CHECK(pairs.elements.key_ends ==
        std::vector<std::uint8_t>{1, 2, 3, 5, 0, 90, 0, 0, 10, 255, 255, 255, 1, 187, 0, 0});
  const Set& services = *find_set(table, "services");
  CHECK(services.elements.has_catch_all);
  CHECK(services.elements.catch_all_verdict.code == VerdictCode::Drop);
  CHECK(find_set(table, "held")->elements.comments == std::vector<ruleset::Comment>{"a friend"});
  CHECK(find_chain(table, "web")->rules[0].comment == "web.blocked");

  const auto written = kernel->replace_table(table, std::nullopt);
  REQUIRE(written);
  for (const Refusal& refusal : written->refusals) {
    FAIL_CHECK(refusal.what << ": " << refusal.explanation);
  }
  CHECK(output_of("nft -s list ruleset") == before);
  const auto again = kernel->dump_table(Family::Inet, "fw");
  REQUIRE(again);
  CHECK(same_configuration({{**again}}, {{table}}));
}

// The reason of the rule's first expression that is not read.
std::string unsupported_in(const Rule& rule) {
  for (const Expr& expr : rule.exprs) {
    if (const auto* unsupported = std::get_if<Unsupported>(&expr)) {
      return unsupported->name + ": " + unsupported->reason;
    }
  }
  return "";
}

TEST_CASE("what the packet's surroundings decide, and what changes it") {
  fresh_network();
  REQUIRE(load_nft("table ip t {\n"
                   "  counter named { }\n"
                   "  map counters { type ipv4_addr : counter; elements = { 1.1.1.1 : \"named\" }\n"
                   "  }\n"
                   "  chain c { type filter hook prerouting priority 0;\n"
                   "    fib saddr oif missing drop\n"
                   "    ip dscp set cs1\n"
                   "    tcp option maxseg size 1460\n"
                   "    counter name \"named\"\n"
                   "    meta mark set numgen inc mod 2\n"
                   "    tcp dport 22 accept\n"
                   "  }\n"
                   "}\n") == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump();
  REQUIRE(read);
  const std::vector<Rule>& rules = read->tables[0].chains[0].rules;
  REQUIRE(rules.size() == 6);
  for (const Rule& rule : rules) CHECK(unsupported_in(rule) == "");
  CHECK(rules[0].exprs[0] == Expr{Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kPresent, 0}});
  CHECK(std::holds_alternative<PayloadWrite>(rules[1].exprs.back()));
  CHECK(rules[2].exprs[0] == Expr{Exthdr{ExthdrKind::TcpOption, 2, 2, 2, false, 0}});
  CHECK(rules[3].exprs[0] == Expr{ObjectRef{1, "named"}});
  CHECK(rules[4].exprs[0] == Expr{Numgen{NumgenKind::Incremental, 2, 0, 0}});
  const Set& counters = *find_set(read->tables[0], "counters");
  CHECK(counters.kind == SetKind::ObjectMap);
  CHECK(counters.object_type == 1);
  const Object* named = find_object(read->tables[0], 1, "named");
  REQUIRE(named != nullptr);
  CHECK(named->body == ObjectBody{Counter{}});
  CHECK(counters.elements.objects == std::vector<std::string>{"named"});
}

// 10.0.5.5 is in both ranges; the kernel takes the one that it was given first.
TEST_CASE("ranges of a concatenation that overlap keep the kernel's order") {
  fresh_network();
  REQUIRE(load_nft("table inet t {\n map m {\n type ipv4_addr . inet_service : mark\n"
                   "flags interval\n elements = { 10.0.5.0/24 . 80 : 1, 10.0.0.0/8 . 80 : 2 }\n"
                   "}\n }\n") == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump();
  REQUIRE(read);
  const Elements& elements = read->tables[0].sets[0].elements;
  REQUIRE(elements.count() == 2);
  CHECK(elements.data == std::vector<std::uint8_t>{1, 0, 0, 0, 2, 0, 0, 0});
  const std::string got = output_of("nft get element inet t m '{ 10.0.5.5 . 80 }'");
  CAPTURE(got);
  CHECK(got.find("0x00000001") != std::string::npos);
  CHECK(verify(*read) == std::nullopt);
}

TEST_CASE("a translation of ports in both families") {
  fresh_network();
  REQUIRE(load_nft("table inet t {\n chain c {\n type nat hook prerouting priority dstnat\n"
                   "tcp dport 80 dnat to :8080\n }\n }\n") == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump();
  REQUIRE(read);
  const Rule& rule = read->tables[0].chains[0].rules[0];
  CHECK(unsupported_in(rule) == "");
  const auto* nat = std::get_if<Nat>(&rule.exprs.back());
  REQUIRE(nat != nullptr);
  CHECK(nat->family == 1);
}

TEST_CASE("a dormant table, a bound chain, tables of one name in two families") {
  fresh_network();
  REQUIRE(load_nft("table ip t {\n flags dormant\n chain a {\n type filter hook input priority 0\n"
                   "tcp dport 22 jump {\n counter\n accept\n }\n }\n }\n"
                   "table ip6 t {\n chain b {\n }\n }\n") == "");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump();
  REQUIRE(read);
  REQUIRE(read->tables.size() == 2);
  const auto four = kernel->dump_table(Family::Ip, "t");
  CHECK((*four)->flags == 1);
  CHECK((*four)->chains.size() == 2);
  CHECK((*kernel->dump_table(Family::Ip6, "t"))->chains.size() == 1);
  CHECK_FALSE(kernel->dump_table(Family::Inet, "t")->has_value());
}

}  // namespace
}  // namespace rolewall::netlink
