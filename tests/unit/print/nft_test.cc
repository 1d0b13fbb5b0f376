// nft's own compiler is the judge of the text: what it makes of a rule is decoded, written as text,
// and loaded again; the second must be the first. The bytecode is compared with nft's listing of
// the same rule, and the field table with what nft makes of each field's name.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <regex>

#include "net/fields.h"
#include "netlink/netlink.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "support/netns.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)
using rolewall::test::fresh_network;
using rolewall::test::load_nft;
using rolewall::test::output_of;

constexpr std::string_view kSets = R"(
  set plain/4 { type ipv4_addr; }
  set plain/6 { type ipv6_addr; }
  set spans/4 { type ipv4_addr; flags interval; }
  set ports { type inet_service; flags interval; elements = { 1-5, 80 }
  }
  set marks { type mark; flags interval; elements = { 1-5, 7 }
  }
  set allowed { type inet_proto . inet_service . ipv4_addr; flags timeout; }
  set names { type ifname; elements = { "eth0", "lo" }
  }
  set seen/4 { type ipv4_addr; size 100; flags dynamic,timeout; timeout 1m; }
  set seen/6 { type ipv6_addr; size 100; flags dynamic; }
  map services { type inet_proto . inet_service : verdict; elements = { tcp . 443 : jump web.in }
  }
  map kinds { type icmp_type : verdict; }
  map protocols { type nf_proto . inet_proto : verdict; elements = { ipv6 . ipv6-icmp : accept }
  }
  map tos { type inet_service : mark; elements = { 22 : 0x00000005 }
  }
  map learned { type ipv4_addr : mark; flags dynamic; size 10; }
  chain web.in {
  }
)";

std::string table_with(std::string_view rule) {
  return fmt::format("table inet t {{{}  chain c {{\n    {}\n  }}\n}}\n", kSets, rule);
}

Table decoded() {
  auto kernel = netlink::Connection::open();
  REQUIRE(kernel);
  auto table = kernel->dump_table(Family::Inet, "t");
  REQUIRE_MESSAGE(table, (table ? "" : table.error().message));
  REQUIRE(*table);
  return **table;
}

Table load(const std::string& text) {
  fresh_network();
  REQUIRE_MESSAGE(load_nft(text) == "", text);
  return decoded();
}

const Rule& rule_of(const Table& table) {
  const Chain* chain = find_chain(table, "c");
  REQUIRE(chain != nullptr);
  REQUIRE_EQ(chain->rules.size(), 1);
  return chain->rules[0];
}

// The lines of nft's listing, for each rule of the text.
std::vector<std::string> listings(const std::string& text) {
  char path[] = "/tmp/rolewall-print-XXXXXX";
  const int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  std::FILE* file = ::fdopen(fd, "w");
  std::fwrite(text.data(), 1, text.size(), file);
  std::fclose(file);
  const std::string output = output_of(fmt::format("nft --debug=netlink -c -f {}", path));
  std::remove(path);
  std::vector<std::string> rules;
  bool within = false;
  for (std::size_t at = 0; at < output.size();) {
    const std::size_t end = std::min(output.find('\n', at), output.size());
    const std::string line = output.substr(at, end - at);
    const bool is_instruction = line.starts_with("  [ ");
    if (is_instruction && !within) rules.emplace_back();
    if (is_instruction) rules.back() += line + '\n';
    within = is_instruction;
    at = end + 1;
  }
  // The kernel numbers anonymous sets; the first of a kind is 0.
  const std::regex unnumbered("__(set|map)%d");
  for (std::string& rule : rules) {
    rule = std::regex_replace(rule, unnumbered,
                              "__$01"
                              "0");
  }
  return rules;
}
std::string listing(const std::string& text) {
  std::string lines;
  for (const std::string& rule : listings(text)) lines += rule;
  return lines;
}

struct RuleCase {
  std::string_view rule;     // as nft reads it
  std::string_view written;  // as we write it; "": the same
};

void check(const RuleCase& test) {
  CAPTURE(test.rule);
  const std::string input = table_with(test.rule);
  const Table first = load(input);
  const Rule& rule = rule_of(first);

  std::string lines;
  for (const Expr& expr : rule.exprs) lines += "  " + bytecode(expr, first.family) + '\n';
  CHECK_EQ(lines, listing(input));

  const auto text = to_nft({{first}});
  REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
  CHECK_EQ(rule_text(first, rule), (test.written.empty() ? test.rule : test.written));
  const Table second = load(*text);
  CHECK_MESSAGE(same_configuration({{first}}, {{second}}), *text);
}

TEST_CASE("addresses") {
  for (const RuleCase& test : std::vector<RuleCase>{
           {"ip saddr 10.0.0.1 accept", ""},
           {"ip saddr != 10.0.0.1 accept", ""},
           {"ip saddr 10.0.0.0/8 drop", ""},
           {"ip saddr 10.0.0.0/9 drop", ""},
           {"ip saddr 10.1.2.0/24 drop", ""},
           {"ip daddr != 10.1.0.0/16 drop", ""},
           {"ip daddr != 10.1.0.0/17 drop", ""},
           {"ip saddr & 255.0.0.0 == 10.0.0.0 drop", ""},
           {"ip saddr & 255.0.255.0 != 10.0.2.0 drop", ""},
           {"ip saddr 10.0.0.1-10.0.0.9 drop", ""},
           {"ip saddr != 10.0.0.1-10.0.0.9 drop", ""},
           {"ip saddr >= 10.0.0.1 drop", ""},
           {"ip6 saddr fd00::1", ""},
           {"ip6 saddr fd00::/8", ""},
           {"ip6 daddr fd00::/10", ""},
           {"ip6 daddr != fd00:0:0:1::/64", ""},
           {"ip6 saddr & ffff:ffff:: == fd00::", ""},
           {"ip6 saddr fd00::1-fd00::9", ""},
           {"ip saddr @plain/4", ""},
           {"ip saddr != @spans/4", ""},
           {"ip saddr & 255.255.255.0 @spans/4", ""},
           {"ip6 daddr @plain/6", ""},
           {"ip saddr { 10.0.0.1, 10.0.0.2 } drop", ""},
           {"ip saddr { 10.0.0.0/8, 11.0.0.1, 11.0.0.3-11.0.0.9 } drop", ""},
           {"ip saddr != { 10.0.0.1, 10.0.0.2 } drop", ""},
           {"ip saddr vmap { 10.0.0.1 : drop, 10.0.0.2 : jump web.in, * : accept }", ""},
           {"ip saddr vmap { 0.0.0.0/0 : drop }", "ip saddr vmap { 0.0.0.0/0 : drop }"},
           {"ip ttl 64", ""},
           {"ip protocol tcp", ""},
           {"ip length 100-200", ""},
           {"ip6 nexthdr udp", ""},
           {"ip dscp 5", "meta nfproto ipv4 ip dscp 5"},
           {"ip dscp != cs1", "meta nfproto ipv4 ip dscp != 8"},
           {"ip dscp >= 5", "meta nfproto ipv4 @nh,8,8 & 0xfc >= 20"},
           {"ip ecn ce", "meta nfproto ipv4 ip ecn 3"},
           {"ip version 4", "meta nfproto ipv4 ip version 4"},
           {"ip frag-off 0", ""},
           {"ip frag-off & 0x1fff != 0", ""},
           {"ip6 dscp 5 ip6 ecn ce", "meta nfproto ipv6 ip6 dscp 5 ip6 ecn 3"},
           {"ip6 flowlabel 5", "meta nfproto ipv6 ip6 flowlabel 5"},
           {"@nh,8,8 & 0xf0 == 16", ""},
           {"tcp doff 5", "meta l4proto tcp tcp doff 5"},
           {"tcp flags ecn", ""},
           {"icmp type echo-request @th,32,16 5", ""},
       }) {
    check(test);
  }
}

TEST_CASE("tests stand where they stand in the rule, unless nft puts them there") {
  for (const RuleCase& test : std::vector<RuleCase>{
           {"meta nfproto ipv4 accept", ""},
           {"meta nfproto != ipv4 accept", ""},
           {"meta nfproto ipv4 counter ip saddr 10.0.0.1", ""},
           {"meta nfproto ipv4 ip saddr 10.0.0.1 meta nfproto ipv4 ip daddr 10.0.0.2",
            "ip saddr 10.0.0.1 meta nfproto ipv4 ip daddr 10.0.0.2"},
           {"meta l4proto tcp ip saddr 10.0.0.1 tcp dport 22", ""},
           {"ip saddr 10.0.0.1 tcp dport 22", ""},
           {"tcp dport 22 ip saddr 10.0.0.1", ""},
           {"tcp dport 22 tcp sport 1024-65535", ""},
           {"th dport 53 tcp dport 53", ""},
           {"meta l4proto { tcp, udp } th dport 53", ""},
           {"meta l4proto != tcp th dport 53", ""},
           {"meta l4proto 47 th dport 53", ""},
           {"ip protocol tcp tcp dport 53", "ip protocol tcp th dport 53"},
           {"icmp type echo-request", ""},
           {"meta l4proto icmp icmp type echo-request", ""},
           {"meta l4proto icmp meta nfproto ipv4 icmp type echo-request", ""},
           {"ip saddr 10.0.0.1 icmp type echo-request",
            "ip saddr 10.0.0.1 meta l4proto icmp icmp type echo-request"},
           {"icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", ""},
           {"icmpv6 type 200-201", ""},
           {"meta l4proto ipv6-icmp icmpv6 type echo-request", ""},
           {"meta l4proto ipv6-icmp meta nfproto ipv6 icmpv6 code 1", ""},
           {"meta l4proto icmp icmp type vmap @kinds", ""},
           {"icmp type vmap @kinds", ""},
           {"@th,0,8 8", ""},
           {"meta nfproto ipv6 meta l4proto icmp @th,0,8 8-9", ""},
       }) {
    check(test);
  }
}

TEST_CASE("ports and flags") {
  for (const RuleCase& test : std::vector<RuleCase>{
           {"tcp dport 443 accept", ""},
           {"udp sport != 53", ""},
           {"sctp dport 1-5", ""},
           {"th dport 0-65535", ""},
           {"tcp dport != 5-9", ""},
           {"tcp dport @ports", ""},
           {"tcp dport { 22, 80-90 } accept", ""},
           {"tcp dport vmap { 22 : accept, 80 : goto web.in }", ""},
           {"meta l4proto . th dport vmap @services", ""},
           {"meta l4proto . th dport . ip saddr @allowed",
            "meta nfproto ipv4 meta l4proto . th dport . ip saddr @allowed"},
           {"ip saddr . tcp dport { 10.0.0.1 . 22, 10.0.0.2 . 80 }",
            "meta nfproto ipv4 meta l4proto tcp ip saddr . tcp dport { 10.0.0.1 . 22, "
            "10.0.0.2 . 80 }"},
           {"meta nfproto . meta l4proto vmap @protocols", ""},
           {"tcp flags syn", ""},
           {"tcp flags syn,ack", ""},
           {"tcp flags == syn", ""},
           {"tcp flags != syn", ""},
           {"tcp flags & (fin | syn) == syn", ""},
           {"tcp flags & (fin | syn | rst | ack) == syn | ack", ""},
           {"tcp flags & syn == 0x0", ""},
           {"tcp flags & (fin | syn | rst | psh | ack | urg) == 0x0 drop", ""},
           {"tcp flags { syn, ack }", ""},
           {"tcp window 0-10", ""},
       }) {
    check(test);
  }
}

TEST_CASE("meta and conntrack") {
  for (const RuleCase& test : std::vector<RuleCase>{
           {"iifname \"eth0\" accept", ""},
           {"iifname != \"eth0\" oifname \"lo\"", ""},
           {"iifname \"eth*\" accept", ""},
           {"iifname != \"br-*\" accept", ""},
           {"iifname \"eth\\*\" accept", ""},
           {"iifname { \"eth0\", \"lo\" }", ""},
           {"iifname { \"eth*\", \"lo\" } accept", ""},
           {"iifname @names", ""},
           {"meta skuid 0 accept", ""},
           {"meta skuid != 1000 accept", ""},
           {"meta skuid 1000-2000 accept", ""},
           {"meta mark 0x00000005", ""},
           {"meta mark & 0xff == 0x00000003", ""},
           {"meta mark & 0xf0 | 0x1 == 0x00000003", ""},
           {"meta mark set meta mark & 0xff ^ 0x1", ""},
           {"meta mark set meta mark & 0xf0 | 0x1", ""},
           {"meta mark 0x00000005-0x0000000a", ""},
           {"meta mark @marks", ""},
           {"meta mark set 0x00000005", ""},
           {"meta mark set ct mark", ""},
           {"meta mark set meta mark & 0xff", ""},
           {"meta mark set ct mark << 4", ""},
           {"meta mark set tcp dport map @tos", ""},
           {"ct mark set meta mark ct mark 0x00000005", ""},
           {"meta length 100-200", ""},
           {"meta length > 1500", ""},
           {"meta pkttype broadcast", ""},
           {"meta protocol ip", ""},
           {"meta protocol 0x1234", ""},
           {"iif lo", ""},
           {"iif 2", ""},
           {"meta cpu 3", ""},
           {"ct state established accept", ""},
           {"ct state established,related accept", ""},
           {"ct state == new accept", ""},
           {"ct state != new accept", ""},
           {"ct state & (established | new) == new", ""},
           {"ct state & new == 0x0", ""},
           {"ct state { established, new } accept", ""},
           {"ct state vmap { established : accept, invalid : drop }",
            "ct state vmap { invalid : drop, established : accept }"},
           {"ct status dnat", ""},
           {"ct direction original", ""},
           {"ct original packets > 5", ""},
           {"ct packets 5-7", ""},
           {"ct reply ip saddr 10.0.0.1", ""},
           {"ct protocol tcp", ""},
           {"meta l4proto tcp ct original proto-dst 22", ""},
           {"ct helper \"ftp\"", ""},
           {"ct expiration 5m", ""},
       }) {
    check(test);
  }
}

TEST_CASE("statements") {
  for (const RuleCase& test : std::vector<RuleCase>{
           {"counter accept", ""},
           {"limit rate 10/minute burst 5 packets accept", ""},
           {"limit rate over 200/second burst 100 packets drop", ""},
           {"limit rate 1/day burst 1 packets drop", ""},
           {"limit rate 1000 bytes/second", ""},
           {"limit rate over 1000 bytes/hour burst 3000 bytes", ""},
           {"ct count over 20 reject with icmpx admin-prohibited", ""},
           {"ct count 20 accept", ""},
           {"quota over 1000 bytes drop", ""},
           {"quota 1000 bytes", ""},
           {"log", ""},
           {"log prefix \"rolewall (default) drop: \" level info", ""},
           {"log level debug flags tcp sequence,options flags ip options flags skuid flags ether",
            ""},
           {"log flags all",
            "log flags tcp sequence,options flags ip options flags skuid flags ether"},
           {"log prefix \"x\" group 2 snaplen 128 queue-threshold 4", ""},
           {"reject with icmpx no-route", ""},
           {"reject", "reject with icmpx port-unreachable"},
           {"meta l4proto tcp reject with tcp reset", ""},
           {"meta nfproto ipv4 reject with icmp host-unreachable",
            "meta nfproto ipv4 reject with icmp 1"},
           {"meta nfproto ipv6 reject with icmpv6 admin-prohibited",
            "meta nfproto ipv6 reject with icmpv6 1"},
           {"jump web.in", ""},
           {"goto web.in", ""},
           {"return", ""},
           {"continue", ""},
           {"update @seen/4 { ip saddr limit rate over 10/second burst 5 packets } drop", ""},
           {"update @seen/4 { ip saddr timeout 30s limit rate over 10/second burst 5 packets "
            "counter } drop",
            ""},
           {"add @seen/6 { ip6 saddr & ffff:ffff:ffff:ffff:: ct count over 3 } drop", ""},
           {"delete @seen/4 { ip saddr }", ""},
           {"add @learned { ip saddr : 0x00000005 }", ""},
           {"tcp dport 22 counter log prefix \"ssh \" limit rate 1/second burst 5 packets accept",
            ""},
       }) {
    check(test);
  }
}

TEST_CASE("notrack") {
  fresh_network();
  const Table first = load(
      "table inet t {\n chain c {\n type filter hook prerouting priority -300; policy accept;\n"
      " ip saddr 10.0.0.1 notrack comment \"web.early\"\n }\n}\n");
  CHECK_EQ(rule_text(first, rule_of(first)), "ip saddr 10.0.0.1 notrack");
  const auto text = to_nft({{first}});
  REQUIRE(text);
  CHECK(same_configuration({{first}}, {{load(*text)}}));
}

// Each in a chain of the hook on which it may stand.
TEST_CASE("translations") {
  const auto check_on = [](const char* hook, const std::string& rule) {
    const Table first =
        load(fmt::format("table inet t {{\n chain c {{\n type nat hook {} priority 0; policy "
                         "accept;\n {}\n }}\n}}\n",
                         hook, rule));
    CHECK_EQ(rule_text(first, rule_of(first)), rule);
    const auto text = to_nft({{first}});
    REQUIRE_MESSAGE(text, rule);
    CHECK_MESSAGE(same_configuration({{first}}, {{load(*text)}}), *text);
  };
  for (const char* rule :
       {"dnat ip to 10.0.0.1", "dnat ip6 to fd00::1", "dnat ip to 10.0.0.1-10.0.0.9",
        "meta l4proto tcp dnat ip to 10.0.0.1:443", "tcp dport 8443 dnat ip6 to [fd00::1]:443",
        "meta l4proto udp dnat ip to 10.0.0.1:500-600 persistent", "meta l4proto udp dnat to :53",
        "redirect", "meta l4proto tcp redirect to :3128"}) {
    check_on("prerouting", rule);
  }
  for (const char* rule :
       {"snat ip to 192.0.2.1", "snat ip6 to 2001:db8::1", "snat ip to 192.0.2.1 random,persistent",
        "meta l4proto tcp snat ip to 192.0.2.1:1024-2048 fully-random", "masquerade",
        "meta l4proto tcp masquerade to :1024-2048", "masquerade random"}) {
    check_on("postrouting", rule);
  }
}

constexpr std::string_view kTable = R"nft(
table inet t {
  set a { type ipv4_addr; flags interval,timeout; timeout 1h; gc-interval 10s; size 1000
    comment "known (abusers)"
    elements = { 10.0.0.0/8 comment "one", 11.0.0.0-11.0.0.7 timeout 30m, 11.0.0.8-11.0.0.9 }
  }
  set whole { type ipv4_addr; flags interval; elements = { 0.0.0.0/0 }
  }
  set b { type ipv6_addr . inet_proto . inet_service; flags interval
    elements = { fd00::/8 . tcp . 80-90, fd00::1 . udp . 53 }
  }
  set c { type ipv4_addr; flags dynamic; size 10; counter; limit rate over 5/second burst 5 packets
    elements = { 1.2.3.4 counter packets 7 bytes 420 limit rate over 5/second burst 5 packets }
  }
  map v { type inet_service : verdict; elements = { 22 : jump inbound/tcp/22, * : drop }
  }
  map m { type ipv4_addr : mark; flags interval; elements = { 10.0.0.0/8 : 0x5, 11.0.0.1 : 0x6 }
  }
  chain inbound/tcp/22 { counter comment "a.b-c"
  }
  chain c { type filter hook input priority filter - 5; policy drop;
    tcp dport vmap @v
  }
  chain out { type route hook output priority mangle; policy accept;
    meta mark set ip daddr map @m
  }
}
)nft";

TEST_CASE("sets, chains and a whole table") {
  const Table first = load(std::string(kTable));
  const auto text = to_nft({{first}});
  REQUIRE_MESSAGE(text, (text ? "" : text.error().message));
  // Whatever remains of its hour, which the clock's tick decides, stands before the comment.
  CHECK(text->find(" comment \"one\",\n") != std::string::npos);
  CHECK(text->find("\t\ttype filter hook input priority -5; policy drop;\n") != std::string::npos);
  CHECK(text->find("\tchain inbound/tcp/22 {\n\t\tcounter comment \"a.b-c\"\n") !=
        std::string::npos);
  const Table second = load(*text);
  CHECK_MESSAGE(same_configuration({{first}}, {{second}}), *text);
}

TEST_CASE("loading the text of our table replaces it") {
  fresh_network();
  Table table;
  table.name = kOwnTable;
  table.chains.push_back({"new", 0, {}, {}});
  const auto text = to_nft({{table}});
  REQUIRE(text);
  REQUIRE(load_nft(*text) == "");  // where there is none
  REQUIRE(load_nft("table inet rolewall { chain old { counter; }\n}\n") == "");
  REQUIRE(load_nft(*text) == "");
  CHECK_EQ(output_of("nft list chains inet").find("old"), std::string::npos);
}

TEST_CASE("what is there for people, and what has no form here") {
  fresh_network();
  Table table;
  table.name = "t";
  table.comment = "by hand";
  Set set;
  set.name = "s";
  set.key = {{DataType::Ipv4Address, 4}};
  set.saves_memory = true;
  set.elements.key_size = 4;
  table.sets = {set};
  table.chains.push_back({"c", 0, {}, {}});
  table.chains[0].comment = "what comes in";
  const auto text = to_nft({{table}});
  REQUIRE(text);
  REQUIRE(load_nft(*text) == "");
  CHECK(same_configuration({{decoded()}}, {{table}}));

  const auto refused = [](const Table& other, std::string_view why) {
    const auto none = to_nft({{other}});
    REQUIRE_FALSE(none);
    CHECK_MESSAGE(none.error().message.find(why) != std::string::npos, none.error().message);
  };
  Table bound = table;
  bound.chains[0].bound = true;
  refused(bound, "chain c, it belongs to the rule that jumps to it");
  table.objects = {{"hits", 0, object_type::kCounter, Counter{}, ""}};
  refused(table, "object hits: of named objects only helpers are supported");
}

// Rules that the kernel can hold and nft's syntax cannot say, or would say otherwise. Each is an
// error that says where and why; rule_text shows the instructions then.
TEST_CASE("what cannot be written is an error") {
  struct Case {
    std::vector<Expr> exprs;
    std::string_view why;
  };
  const Payload source{PayloadBase::Network, 12, 4, 0};
  const Payload port{PayloadBase::Transport, 2, 2, 0};
  const Lookup in_set{"s", 0, LookupResult::Membership, 0, false};
  const Case cases[] = {
      {{}, "a rule without statements"},
      {{port}, "th dport is loaded and never used"},
      {{port, Counter{}},
       "expression 2, [ counter pkts 0 bytes 0 ]: th dport was loaded before "
       "this and is used later"},
      {{port, Payload{PayloadBase::Transport, 0, 2, 0}, Cmp{CmpOp::Eq, 0, Value::be16(1)}},
       "th dport is overwritten before it is used"},
      {{port, Cmp{CmpOp::Eq, 0, Value::be16(1)}, Cmp{CmpOp::Eq, 0, Value::be16(1)}},
       "th dport is loaded once and used twice"},
      {{Cmp{CmpOp::Eq, 0, Value::be16(1)}}, "the register does not hold one whole load"},
      {{source, in_set}, "@nh,96,32 is of the type integer, but ipv4_addr is needed"},
      {{port, in_set}, "th dport does not have the size of the key"},
      {{port, Cmp{CmpOp::Eq, 0, Value::u8(1)}}, "a part of th dport is compared"},
      {{Meta{MetaKey::Mark, 0}, Cmp{CmpOp::Gt, 0, Value::host_u32(1)}},
       "meta mark is compared in the host's order"},
      {{Meta{MetaKey::Mark, 0}, BitwiseMask{0, 0, 4, Value::host_u32(0xff), Value::host_u32(1)},
        Cmp{CmpOp::Eq, 0, Value::host_u32(1)}},
       "a comparison after an exclusive or"},
      {{Ct{CtKey::ProtoSource, CtDirection::Original, 0}}, "only if the rule has tested"},
      {{Ct{CtKey::Source, CtDirection::Original, 0}}, "`ct saddr` has no nft syntax"},
      {{Reject{RejectType::TcpReset, 0}}, "only if the rule has tested for tcp"},
      {{Log{"$x", {}, 4, 0, 0, 0}}, "nft reads a $ in a log prefix as a variable"},
      {{Log{"\"x\"", {}, 4, 0, 0, 0}}, "nft cannot read a string with a quotation mark"},
      {{Limit{LimitUnit::Packets, 1, 7, 5, false}}, "a rate per 7 seconds"},
      {{ImmediateVerdict{{VerdictCode::Jump, "two words", 0}}}, "nft cannot read the name"},
      {{ImmediateVerdict{{VerdictCode::Jump, "limit", 0}}}, "is a keyword of nft"},
      {{Unsupported{"fib", "attribute 9 is unknown"}}, "attribute 9 is unknown"},
      {{Meta{MetaKey::IifKind, 0}}, "`meta iifkind` has no nft syntax"},
      {{Last{}}, "nft 1.0.6 has no syntax for `last`"},
  };
  Table table;
  table.name = "t";
  Set set;
  set.name = "s";
  set.key = {{DataType::Ipv4Address, 4}};
  table.sets = {set};
  for (const Case& test : cases) {
    table.chains = {{"c", 0, {}, {{0, "", {Counter{}}}, {0, "", test.exprs}}}};
    const auto text = to_nft({{table}});
    REQUIRE_MESSAGE(!text, *text);
    CAPTURE(text.error().message);
    CHECK(text.error().message.starts_with(
        "this cannot be written in nft's syntax: table inet t, chain c, rule 2: "));
    CHECK_MESSAGE(text.error().message.find(test.why) != std::string::npos, test.why);
    std::string lines;
    for (const Expr& expr : test.exprs)
      lines += (lines.empty() ? "" : " ") + bytecode(expr, table.family);
    CHECK_EQ(rule_text(table, table.chains[0].rules[1]), lines);
  }
}

// The instructions that nft makes of a field: a load, and a mask where it is no whole bytes.
std::string instructions(const net::Field& field) {
  constexpr auto base = [](net::Layer layer) -> std::string_view {
    switch (layer) {
      case net::Layer::Link:
        return "link";
      case net::Layer::Network:
        return "network";
      case net::Layer::Transport:
        return "transport";
    }
    return "";
  };
  std::string text = fmt::format("  [ payload load {}b @ {} header + {} => reg 1 ]\n",
                                 field.byte_count(), base(field.layer), field.first_byte());
  if (!field.is_whole_bytes()) {
    // As a register holds it: in network order, read in the host's.
    std::uint32_t word = 0;
    for (std::uint32_t i = 0; i < field.byte_count(); ++i) {
      const std::uint64_t byte = field.mask() >> (field.byte_count() - 1 - i) * 8 & 0xff;
      word |= static_cast<std::uint32_t>(byte << i * 8);
    }
    text += fmt::format("  [ bitwise reg 1 = ( reg 1 & {:#010x} ) ^ 0x00000000 ]\n", word);
  }
  return text;
}

// Each row of the field table, against what nft loads for its name.
TEST_CASE("the field table is nft's") {
  for (const bool ether : {true, false}) {
    std::vector<net::Field> rows;
    std::string rules;
    for (const net::Field& field : net::fields()) {
      if ((field.layer == net::Layer::Link) != ether) continue;
      rows.push_back(field);
      rules += fmt::format(" {} {}\n", field.name,
                           field.type == net::FieldType::Ipv4Address    ? "1.2.3.4"
                           : field.type == net::FieldType::Ipv6Address  ? "fd00::1"
                           : field.type == net::FieldType::EtherAddress ? "00:01:02:03:04:05"
                           : field.type == net::FieldType::TcpFlags     ? "== syn"
                                                                        : "1");
    }
    const auto made = listings(
        fmt::format("table {} t {{\n chain c {{\n{} }}\n}}\n", ether ? "bridge" : "inet", rules));
    REQUIRE_EQ(made.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const net::Field& field = rows[i];
      CAPTURE(field.name);
      const std::string wanted = instructions(field);
      const std::size_t at = made[i].find(wanted);
      CHECK_MESSAGE(at != std::string::npos, made[i], " -- expected: ", wanted);
      // For these nft tests the ICMP type before: the printer must not say them.
      CHECK_EQ(field.tests_more, made[i].find("@ transport header + 0 =>") < at);
      if (field.is_whole_bytes()) CHECK_EQ(made[i].find("bitwise"), std::string::npos);
      if (const auto protocol = net::protocol_of(field.header)) {
        CHECK(made[i].find(fmt::format("  [ cmp eq reg 1 {:#010x} ]\n", *protocol)) !=
              std::string::npos);
      }
    }
  }
}

TEST_CASE("the bits of tcp's flags are nft's") {
  std::string rules;
  for (const net::TcpFlag& flag : net::kTcpFlags) {
    rules += fmt::format(" tcp flags == {}\n", flag.nft_name);
  }
  const auto made = listings(fmt::format("table inet t {{\n chain c {{\n{} }}\n}}\n", rules));
  REQUIRE_EQ(made.size(), net::kTcpFlags.size());
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK_MESSAGE(made[i].find(fmt::format("  [ cmp eq reg 1 {:#010x} ]\n",
                                           net::kTcpFlags[i].bit)) != std::string::npos,
                  made[i]);
  }
}

}  // namespace
}  // namespace rolewall::print
