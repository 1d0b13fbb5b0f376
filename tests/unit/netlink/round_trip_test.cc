// What is written to the kernel is what is read back, for every expression and every kind of set.
#include <doctest/doctest.h>

#include <algorithm>

#include "netlink/decode_expr.h"
#include "netlink/decode_ruleset.h"
#include "netlink/expr_codec.h"
#include "netlink/netlink.h"
#include "ruleset/expr.h"
#include "support/netns.h"
#include "unit/netlink/ruleset_builder.h"

namespace rolewall::netlink {
namespace {

using namespace test;
using rolewall::test::fresh_network;
using rolewall::test::output_of;

// Loads and reads back; the table must be the same.
Table round_trip(const Table& table) {
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto result = kernel->replace_table(table, std::nullopt);
  if (!result) {
    FAIL(result.error().message);
    return {};
  }
  for (const Refusal& refusal : result->refusals) {
    FAIL_CHECK(refusal.what << ": " << refusal.explanation);
  }
  REQUIRE(result->committed);
  const auto read = kernel->dump_table(table.family, table.name);
  if (!read) FAIL(read.error().message);
  REQUIRE(*read);
  return **read;
}

void check_same(const Table& table) {
  const Ruleset wanted = configuration({{table}});
  const Ruleset live = configuration({{round_trip(table)}});
  REQUIRE(live.tables[0].chains.size() == wanted.tables[0].chains.size());
  for (std::size_t i = 0; i < wanted.tables[0].chains.size(); ++i) {
    const Chain& a = live.tables[0].chains[i];
    const Chain& b = wanted.tables[0].chains[i];
    REQUIRE(a.rules.size() == b.rules.size());
    for (std::size_t j = 0; j < b.rules.size(); ++j) {
      CAPTURE(b.rules[j].comment.text());
      for (const Expr& expr : a.rules[j].exprs) {
        if (const auto* unsupported = std::get_if<Unsupported>(&expr)) {
          FAIL_CHECK(unsupported->name << ": " << unsupported->reason);
        }
      }
      CHECK(a.rules[j] == b.rules[j]);
    }
    CHECK(a == b);
  }
  REQUIRE(live.tables[0].sets.size() == wanted.tables[0].sets.size());
  for (std::size_t i = 0; i < wanted.tables[0].sets.size(); ++i) {
    const Set& a = live.tables[0].sets[i];
    const Set& b = wanted.tables[0].sets[i];
    CAPTURE(b.name);
    CHECK(a.unsupported == "");
    CHECK(a.key == b.key);
    CHECK(a.elements == b.elements);
    CHECK(a == b);
  }
  CHECK(live.tables[0].objects == wanted.tables[0].objects);
  CHECK(live == wanted);
}

// One rule for each expression, named for it.
std::vector<Rule> every_expression() {
  const Value zero4 = bytes({0, 0, 0, 0});
  return {
      rule("payload",
           {Payload{PayloadBase::Network, 12, 4, 1}, Payload{PayloadBase::Link, 6, 6, 4},
            Payload{PayloadBase::Transport, 2, 2, 15}, Payload{PayloadBase::Inner, 0, 1, 3}}),
      rule("meta", {Meta{MetaKey::IifName, 0}, Meta{MetaKey::L4Proto, 5},
                    Meta{MetaKey::TimeHour, 7}, Meta{MetaKey::Mark, 15}}),
      rule("ct", {Ct{CtKey::State, {}, 2}, Ct{CtKey::Status, {}, 2},
                  Ct{CtKey::ProtoSource, CtDirection::Reply, 1},
                  Ct{CtKey::Source, CtDirection::Original, 0}, Ct{CtKey::Bytes, {}, 4},
                  Ct{CtKey::Packets, CtDirection::Reply, 4}}),
      rule("immediate", {Immediate{3, Value::host_u32(42)}, Immediate{8, bytes({1, 2, 3, 4, 5})}}),
      rule("bitwise mask",
           {Immediate{0, zero4}, BitwiseMask{0, 1, 4, bytes({255, 255, 0, 0}), zero4}}),
      rule("bitwise shift", {Immediate{0, zero4}, BitwiseShift{ShiftDirection::Left, 0, 2, 4, 5},
                             BitwiseShift{ShiftDirection::Right, 2, 3, 4, 31}}),
      rule("byteorder", {Immediate{0, zero4}, Byteorder{ByteorderOp::HostToNetwork, 0, 1, 4, 4},
                         Byteorder{ByteorderOp::NetworkToHost, 1, 2, 2, 2}}),
      rule("cmp", {Immediate{0, zero4}, Cmp{CmpOp::Eq, 0, zero4}, Cmp{CmpOp::Neq, 0, zero4},
                   Cmp{CmpOp::Lt, 0, bytes({9})}, Cmp{CmpOp::Lte, 0, zero4},
                   Cmp{CmpOp::Gt, 0, bytes({1, 2})}, Cmp{CmpOp::Gte, 0, zero4}}),
      rule("range", {Immediate{1, zero4}, Range{false, 1, bytes({0, 22}), bytes({0, 80})},
                     Range{true, 1, bytes({1}), bytes({2})}}),
      rule("lookup", {Immediate{0, zero4}, Lookup{"singles", 0, LookupResult::Membership, 0, false},
                      Lookup{"singles", 0, LookupResult::Membership, 0, true}}),
      rule("lookup data", {Immediate{0, zero4}, Lookup{"marks", 0, LookupResult::Data, 9, false}}),
      rule("lookup verdict",
           {Immediate{0, zero4}, Lookup{"verdicts", 0, LookupResult::Verdict, 0, false}}),
      rule("counter", {Counter{0, 0}}),
      rule("limit",
           {Limit{LimitUnit::Packets, 10, 1, 5, false}, Limit{LimitUnit::Packets, 3, 3600, 7, true},
            Limit{LimitUnit::Bytes, 1'000'000, 60, 4096, true}}),
      rule("connlimit", {Connlimit{20, false}, Connlimit{30, true}}),
      rule("quota", {Quota{1 << 20, 0, false}, Quota{1 << 30, 0, true}}),
      rule("last", {Last{}}),
      rule("dynset", {Immediate{0, zero4},
                      Dynset{DynsetOp::Update,
                             "sources",
                             0,
                             {},
                             0,
                             false,
                             {Limit{LimitUnit::Packets, 5, 60, 5, true}}},
                      Dynset{DynsetOp::Add, "sources", 0, {}, 5000, true, {}},
                      Dynset{DynsetOp::Add,
                             "sources",
                             0,
                             {},
                             0,
                             false,
                             {Counter{}, Limit{LimitUnit::Packets, 5, 1, 5, false}}},
                      Dynset{DynsetOp::Delete, "sources", 0, {}, 0, false, {}}, Immediate{1, zero4},
                      Dynset{DynsetOp::Update, "marks at run time", 0, Register{1}, 0, false, {}}}),
      rule("verdict", {verdict(VerdictCode::Continue), verdict(VerdictCode::Jump, "target")}),
      rule("goto", {verdict(VerdictCode::Goto, "target")}),
      rule("return", {verdict(VerdictCode::Return)}),
      rule("break", {verdict(VerdictCode::Break)}),
      rule("meta set", {Immediate{2, Value::host_u32(7)}, MetaSet{MetaKey::Mark, 2},
                        Immediate{2, bytes({1})}, MetaSet{MetaKey::NfTrace, 2}}),
      rule("ct set", {Immediate{2, Value::host_u32(7)}, CtSet{CtKey::Mark, {}, 2}}),
      rule("log", {Log{"to the kernel's log: ", {}, 4, 0, 0, 0}, Log{"", {}, 6, 15, 0, 0},
                   Log{"to a group ", std::uint16_t{3}, 4, 0, 128, 20},
                   Log{"", std::uint16_t{0}, 4, 0, 0, 0}}),
      rule("payload write",
           {Immediate{0, zero4},
            PayloadWrite{PayloadBase::Network, 12, 4, 0, ChecksumKind::Inet, 10, true},
            PayloadWrite{PayloadBase::Link, 0, 2, 0, ChecksumKind::None, 0, false}}),
      rule("exthdr",
           {Exthdr{ExthdrKind::TcpOption, 2, 2, 2, false, 1},
            Exthdr{ExthdrKind::TcpOption, 5, 0, 1, true, 1},
            Exthdr{ExthdrKind::Ipv6, 43, 1, 1, false, 1},
            Exthdr{ExthdrKind::Ipv4Option, 131, 0, 1, true, 1},
            Exthdr{ExthdrKind::Sctp, 1, 4, 4, false, 1}, Immediate{2, zero4},
            ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 2, 2}, ExthdrReset{ExthdrKind::TcpOption, 5}}),
      rule("fib", {Fib{FibResult::AddressType, fib_flag::kDestination, 0},
                   Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kMark | fib_flag::kPresent, 1},
                   Fib{FibResult::OifName, fib_flag::kSource, 4}}),
      rule("rt", {Rt{RtKey::ClassId, 0}, Rt{RtKey::NextHop6, 4}, Rt{RtKey::Xfrm, 1}}),
      rule("socket",
           {ruleset::Socket{SocketKey::Transparent, 0, 0}, ruleset::Socket{SocketKey::Mark, 0, 1}}),
      rule("osf", {Osf{2, 1, 4}, Osf{0, 0, 4}}),
      rule("numgen",
           {Numgen{NumgenKind::Incremental, 4, 2, 0}, Numgen{NumgenKind::Random, 9, 0, 3}}),
      rule("hash", {Immediate{0, zero4}, JenkinsHash{0, 4, 16, 0xdeadbeefU, 100, 1},
                    JenkinsHash{0, 4, 16, 0U, 0, 1}, SymmetricHash{8, 3, 2}}),
      rule("bitwise registers",
           {Immediate{0, zero4}, Immediate{1, zero4}, BitwiseRegisters{BitwiseOp::And, 0, 1, 2, 4},
            BitwiseRegisters{BitwiseOp::Or, 0, 1, 2, 4},
            BitwiseRegisters{BitwiseOp::Xor, 2, 0, 3, 4}}),
      rule("synproxy",
           {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})}, Synproxy{1460, 7, 15}}),
      rule("reject icmpx", {Reject{RejectType::IcmpxUnreachable, 3}}),
      rule("reject tcp", {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})},
                          Reject{RejectType::TcpReset, 0}}),
      rule("reject icmp", {Meta{MetaKey::NfProto, 0}, Cmp{CmpOp::Eq, 0, bytes({2})},
                           Reject{RejectType::IcmpUnreachable, 1}}),
      rule("drop", {verdict(VerdictCode::Drop)}),
      rule(std::string(127, 'c'), {verdict(VerdictCode::Accept)}),
      rule("", {Counter{}}),
  };
}

std::vector<Set> sets_for_expressions() {
  Set singles = make_set("singles", {kIpv4});
  add_key(singles, {192, 0, 2, 1});
  add_key(singles, {192, 0, 2, 9});
  Set marks = make_set("marks", {kIpv4}, SetKind::Map);
  marks.data = kMark;
  marks.elements.data_size = 4;
  add_key(marks, {192, 0, 2, 1});
  marks.elements.data = {1, 0, 0, 0};
  Set verdicts = make_set("verdicts", {kIpv4}, SetKind::VerdictMap);
  add_key(verdicts, {192, 0, 2, 1});
  verdicts.elements.verdicts = {{VerdictCode::Jump, "target", 0}};
  Set sources = make_set("sources", {kIpv4});
  sources.dynamic = sources.has_timeout = true;
  sources.size = 1000;
  sources.timeout_ms = 60'000;
  Set at_run_time = make_set("marks at run time", {kIpv4}, SetKind::Map);
  at_run_time.data = kMark;
  at_run_time.elements.data_size = 4;
  at_run_time.dynamic = true;
  at_run_time.size = 16;
  return {singles, marks, verdicts, sources, at_run_time};
}

// Expressions that belong to one type of chain, hook or family.
std::vector<Table> tables_of_their_own() {
  const Value address = bytes({192, 0, 2, 1});
  const Value port = bytes({0, 80});
  Chain source = base_chain(
      "source", Hook::Postrouting,
      {rule("snat",
            {Immediate{0, address}, Immediate{1, port},
             Nat{NatKind::Source, 2, Register{0}, Register{0}, Register{1}, Register{1}, 3}}),
       rule("masquerade", {Masquerade{}}),
       rule("masquerade to ports",
            {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})}, Immediate{0, port},
             Masquerade{Register{0}, Register{0}, 2 + 4}})},
      VerdictCode::Accept, 100);
  source.base->type = ChainType::Nat;
  Chain destination = base_chain(
      "destination", Hook::Prerouting,
      {rule("dnat", {Immediate{0, address},
                     Nat{NatKind::Destination, 2, Register{0}, Register{0}, {}, {}, 1 + 8}}),
       rule("redirect", {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})},
                         Immediate{0, port}, Redirect{Register{0}, Register{0}, 2}}),
       rule("redirect alone", {Redirect{}})},
      VerdictCode::Accept, -100);
  destination.base->type = ChainType::Nat;
  Chain mangle =
      base_chain("mangle", Hook::Prerouting,
                 {rule("tproxy", {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})},
                                  Immediate{0, address}, Immediate{1, port},
                                  Tproxy{2, Register{0}, Register{1}}}),
                  rule("dup", {Immediate{0, address}, Dup{Register{0}, {}},
                               Immediate{1, bytes({1, 0, 0, 0})}, Dup{Register{0}, Register{1}}}),
                  rule("xfrm", {Xfrm{XfrmKey::RequestId, XfrmDirection::In, 0, 0},
                                Xfrm{XfrmKey::Saddr4, XfrmDirection::In, 1, 0}})},
                 VerdictCode::Accept, -150);
  Table four = table_of({source, destination, mangle});
  four.family = Family::Ip;

  Chain ingress = base_chain(
      "ingress", Hook::Ingress,
      {rule("dup", {Immediate{0, bytes({1, 0, 0, 0})}, Dup{{}, Register{0}}}),
       rule("fwd", {Immediate{0, bytes({1, 0, 0, 0})}, Fwd{0, {}, 0}}),
       rule("fwd to a neighbour",
            {Immediate{0, bytes({1, 0, 0, 0})}, Immediate{1, address}, Fwd{0, Register{1}, 2}})});
  ingress.base->devices = {"lo"};
  Table device = table_of({ingress});
  device.family = Family::Netdev;
  return {four, device};
}

// The alternatives of Expr that occur.
std::size_t alternatives(const std::vector<Rule>& rules) {
  std::vector<bool> seen(std::variant_size_v<ruleset::ExprVariant>);
  const auto see = [&](const std::vector<Rule>& some) {
    for (const Rule& each : some) {
      for (const Expr& expr : each.exprs) seen[expr.index()] = true;
    }
  };
  see(rules);
  for (const Table& table : tables_of_their_own()) {
    for (const Chain& chain : table.chains) see(chain.rules);
  }
  return static_cast<std::size_t>(std::count(seen.begin(), seen.end(), true));
}

TEST_CASE("every expression") {
  fresh_network();
  const std::vector<Rule> rules = every_expression();
  // Notrack needs a chain before conntrack, below; the two of objects need one, below too; tunnel's
  // module is rare; iptables' own are checked below; Unsupported is never written.
  CHECK(alternatives(rules) == std::variant_size_v<ruleset::ExprVariant> - 7);
  for (const Table& table : tables_of_their_own()) check_same(table);
  check_same(table_of(
      {base_chain("input", Hook::Input, rules, VerdictCode::Drop, -10), plain_chain("target"),
       base_chain("raw", Hook::Prerouting, {rule("notrack", {Notrack{}})}, VerdictCode::Accept,
                  -300)},
      sets_for_expressions()));
}

TEST_CASE("tunnel, written and read without a kernel") {
  for (const TunnelMode mode : {TunnelMode::Any, TunnelMode::Receive, TunnelMode::Transmit}) {
    for (const TunnelKey key : {TunnelKey::Path, TunnelKey::Id}) {
      const Tunnel tunnel{key, mode, 3};
      CHECK(decode_expr(encode(tunnel)) == Expr{tunnel});
    }
  }
}

TEST_CASE("every kind of set") {
  fresh_network();
  std::vector<Set> sets;

  Set empty = make_set("empty", {kIpv6});
  empty.comment = "nothing in it";
  sets.push_back(empty);

  Set names = make_set("interfaces", {kIfName});
  add_key(names, {'e', 't', 'h', '0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  sets.push_back(names);

  Set pair = make_set("pairs", {kProtocol, kPort, kIpv4});
  add_key(pair, {6, 0, 0, 0, 1, 187, 0, 0, 10, 0, 0, 1});
  add_key(pair, {17, 0, 0, 0, 0, 53, 0, 0, 10, 0, 0, 2});
  sets.push_back(pair);

  Set tree = make_set("tree", {kIpv4});
  tree.interval = true;
  add_interval(tree, {10, 0, 0, 0}, {10, 255, 255, 255});
  add_interval(tree, {192, 0, 2, 5}, {192, 0, 2, 5});
  add_interval(tree, {192, 0, 2, 6}, {192, 0, 2, 9});  // touches the one before
  add_interval(tree, {224, 0, 0, 0}, {255, 255, 255, 255});
  sets.push_back(tree);

  Set from_zero = make_set("from zero", {kPort});
  from_zero.interval = true;
  add_interval(from_zero, {0, 0}, {0, 5});
  add_interval(from_zero, {255, 255}, {255, 255});
  sets.push_back(from_zero);

  Set everything = make_set("everything", {kIpv4});
  everything.interval = true;
  add_interval(everything, {0, 0, 0, 0}, {255, 255, 255, 255});
  sets.push_back(everything);

  Set prefixes = make_set("names that begin so", {kIfName});
  prefixes.interval = true;
  add_interval(prefixes, {'e', 't', 'h', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
               {'e', 't', 'h', 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255});
  sets.push_back(prefixes);

  Set ranges = make_set("pipapo", {kIpv4, kPort});
  ranges.interval = true;
  add_interval(ranges, {10, 0, 0, 0, 0, 22, 0, 0}, {10, 0, 0, 255, 0, 22, 0, 0});
  add_interval(ranges, {10, 0, 1, 0, 0, 80, 0, 0}, {10, 0, 1, 7, 1, 187, 0, 0});
  sets.push_back(ranges);

  Set marks = make_set("networks' marks", {kIpv4}, SetKind::Map);
  marks.interval = true;
  marks.data = kMark;
  marks.elements.data_size = 4;
  add_interval(marks, {10, 0, 0, 0}, {10, 0, 0, 255});
  add_interval(marks, {10, 0, 1, 0}, {10, 0, 1, 255});
  marks.elements.data = {1, 0, 0, 0, 2, 0, 0, 0};
  sets.push_back(marks);

  Set dispatch = make_set("dispatch", {kProtocol, kPort}, SetKind::VerdictMap);
  add_key(dispatch, {6, 0, 0, 0, 0, 22, 0, 0});
  add_key(dispatch, {6, 0, 0, 0, 1, 187, 0, 0});
  add_key(dispatch, {17, 0, 0, 0, 0, 53, 0, 0});
  dispatch.elements.verdicts = {{VerdictCode::Jump, "target", 0},
                                {VerdictCode::Goto, "target", 0},
                                {VerdictCode::Drop, "", 0}};
  dispatch.elements.has_catch_all = true;
  dispatch.elements.catch_all_verdict = {VerdictCode::Return, "", 0};
  sets.push_back(dispatch);

  Set defaults = make_set("marks or 9", {kPort}, SetKind::Map);
  defaults.data = kMark;
  defaults.elements.data_size = 4;
  add_key(defaults, {0, 22});
  defaults.elements.data = {1, 0, 0, 0};
  defaults.elements.has_catch_all = true;
  defaults.elements.catch_all_data = {9, 0, 0, 0};
  sets.push_back(defaults);

  Set held = make_set("held", {kIpv4});
  held.has_timeout = true;
  held.timeout_ms = 3'600'000;
  held.gc_interval_ms = 10'000;
  held.size = 128;
  add_key(held, {192, 0, 2, 1});
  add_key(held, {192, 0, 2, 2});
  add_key(held, {192, 0, 2, 3});
  held.elements.timeouts_ms = {300'000, 0, kNeverEnds};
  held.elements.comments = {"", "by hand", ""};
  sets.push_back(held);

  Set counted = make_set("counted", {kIpv4});
  counted.dynamic = true;
  counted.size = 100;
  counted.exprs = {Counter{}, Limit{LimitUnit::Packets, 10, 1, 5, false}};
  add_key(counted, {192, 0, 2, 1});
  counted.elements.exprs = {counted.exprs};
  sets.push_back(counted);

  Set one_counter = make_set("one counter", {kIpv4});
  one_counter.interval = true;
  one_counter.exprs = {Counter{}};
  add_interval(one_counter, {192, 0, 2, 0}, {192, 0, 2, 255});
  one_counter.elements.exprs = {one_counter.exprs};
  sets.push_back(one_counter);

  Set anonymous = make_set("__set0", {kPort});
  anonymous.anonymous = anonymous.constant = true;
  anonymous.size = 2;
  add_key(anonymous, {0, 22});
  add_key(anonymous, {0, 80});
  sets.push_back(anonymous);

  check_same(table_of(
      {base_chain("input", Hook::Input,
                  {rule("anonymous", {Payload{PayloadBase::Transport, 2, 2, 0},
                                      Lookup{"__set0", 0, LookupResult::Membership, 0, false}})}),
       plain_chain("target")},
      sets));

  const std::string listed = output_of("nft list ruleset");
  for (const char* text : {
           "set pairs",
           "type inet_proto . inet_service . ipv4_addr",
           "tcp . 443 . 10.0.0.1",
           "10.0.0.0/8",
           "192.0.2.6-192.0.2.9",
           "224.0.0.0/3",
           "0-5",
           "65535",
           "0.0.0.0/0",
           "\"eth*\"",
           "10.0.1.0/29 . 80-443",
           "10.0.0.0/24 : 0x00000001",
           "tcp . 22 : jump target",
           "* : return",
           "* : 0x00000009",
           "timeout 5m",
           "comment \"by hand\"",
           "timeout 1h",
           "gc-interval 10s",
           "comment \"nothing in it\"",
           "th dport { 22, 80 }",
       }) {
    CAPTURE(listed);
    INFO("missing in nft's listing: " << text);
    CHECK(listed.find(text) != std::string::npos);
  }
}

Object object(std::string name, std::uint32_t type, ObjectBody body) {
  return {
      .name = std::move(name), .handle = 0, .type = type, .body = std::move(body), .comment = {}};
}

// SYN_SENT to UNACK: all that the kernel shows of a TCP timeout.
CtTimeout tcp_timeout() {
  CtTimeout timeout{.family = 2, .protocol = 6, .values = {}};
  for (std::uint16_t state = 1; state <= 11; ++state)
    timeout.values.push_back({state, 100U + state});
  return timeout;
}

TEST_CASE("every object that this kernel has, by rule and by map") {
  fresh_network();
  Table table = table_of({});
  table.objects = {
      object("hits", object_type::kCounter, Counter{}),
      object("other hits", object_type::kCounter, Counter{}),
      object("volume", object_type::kQuota, Quota{1 << 20, 0, true}),
      object("pace", object_type::kLimit, Limit{LimitUnit::Bytes, 1000, 60, 500, true}),
      object("connections", object_type::kConnlimit, Connlimit{10, true}),
      object("proxy", object_type::kSynproxy, Synproxy{1460, 7, 3}),
      object("patience", object_type::kCtTimeout, tcp_timeout()),
      object("awaited", object_type::kCtExpectation, CtExpectation{2, 6, 9876, 60'000, 12}),
  };
  table.objects[0].comment = "of the web";
  Set by_port = make_set("by port", {kPort}, SetKind::ObjectMap);
  by_port.object_type = object_type::kCounter;
  add_key(by_port, {0, 22});
  add_key(by_port, {0, 80});
  by_port.elements.objects = {"other hits", "hits"};
  by_port.elements.comments = {"", "web"};
  by_port.elements.has_catch_all = true;
  by_port.elements.catch_all_object = "hits";
  by_port.elements.catch_all_comment = "the rest";
  Set by_source = make_set("by source", {kIpv4}, SetKind::ObjectMap);
  by_source.object_type = object_type::kQuota;
  by_source.interval = true;
  add_interval(by_source, {10, 0, 0, 0}, {10, 0, 0, 255});
  by_source.elements.objects = {"volume"};
  table.sets = {by_port, by_source};
  std::vector<Rule> rules;
  for (const Object& each : table.objects) {
    rules.push_back(rule(each.name, {Meta{MetaKey::L4Proto, 0}, Cmp{CmpOp::Eq, 0, bytes({6})},
                                     ObjectRef{each.type, each.name}}));
  }
  rules.push_back(
      rule("by map", {Payload{PayloadBase::Transport, 2, 2, 0}, ObjectLookup{0, "by port"}}));
  rules.push_back(rule("by intervals",
                       {Payload{PayloadBase::Network, 12, 4, 0}, ObjectLookup{0, "by source"}}));
  table.chains = {base_chain("input", Hook::Input, rules)};
  check_same(table);
  // nft 1.0.6 aborts on a connlimit object.
  table.objects.erase(table.objects.begin() + 4);
  table.chains[0].rules.erase(table.chains[0].rules.begin() + 4);
  check_same(table);
  const std::string listed = output_of("nft list ruleset");
  for (const std::string text :
       {"counter hits {", "comment \"of the web\"", "quota volume {", "over 1 mbytes",
        "ct timeout patience {", "ct expectation awaited {", "dport 9876", "synproxy proxy {",
        "22 : \"other hits\"", "* comment \"the rest\" : \"hits\""}) {
    CAPTURE(listed);
    INFO("missing in nft's listing: " << text);
    CHECK(listed.find(text) != std::string::npos);
  }
}

// What a kernel without their modules refuses.
TEST_CASE("a helper and a security mark, written and read without a kernel") {
  for (const Object& each : {object("ftp", object_type::kCtHelper, CtHelper{"ftp", 2, 6}),
                             object("sshtag", object_type::kSecmark, Secmark{"a_t:s0"})}) {
    Table table = table_of({});
    const auto message = encode_object(table, each);
    REQUIRE(message);
    RulesetReader reader;
    const auto whole = encode_new_table(table);
    REQUIRE(whole);
    constexpr std::size_t kHeaders = 20;
    REQUIRE(reader.table(1, View(*whole).subspan(kHeaders)));
    REQUIRE(reader.object(1, View(*message).subspan(kHeaders)));
    CHECK(reader.ruleset().tables[0].objects == std::vector<Object>{each});
  }
}

TEST_CASE("a comment without text is not none") {
  fresh_network();
  const Comment blank = Comment::written("");
  Chain chain = base_chain("blank", Hook::Input, {rule("", {Counter{}}), rule("", {Counter{}})});
  chain.comment = blank;
  chain.rules[0].comment = blank;
  Table table = table_of({chain});
  table.comment = blank;
  table.objects = {object("blank", object_type::kCounter, Counter{})};
  table.objects[0].comment = blank;
  Set set = make_set("blank", {kIpv4});
  set.comment = blank;
  set.elements.keys = {10, 0, 0, 1, 10, 0, 0, 2};
  set.elements.comments = {blank, Comment()};
  table.sets = {set};
  check_same(table);
  const std::string listed = output_of("nft list ruleset");
  CAPTURE(listed);
  std::size_t blanks = 0;
  for (std::size_t at = 0; (at = listed.find("comment \"\"", at)) != std::string::npos; ++at) {
    ++blanks;
  }
  CHECK(blanks == 6);
}

TEST_CASE("what is there for people: comments, and nft's chains within a rule") {
  fresh_network();
  // The kernel has none within another.
  Chain inner = plain_chain("__chain0", {rule("innermost", {Counter{}})});
  inner.bound = true;
  Chain input =
      base_chain("input", Hook::Input, {rule("", {verdict(VerdictCode::Jump, "__chain0")})});
  input.comment = "what comes in";
  Table table = table_of({input, inner});
  table.comment = "by hand";
  Set set = make_set("sources", {kIpv4});
  set.saves_memory = true;
  table.sets = {set};
  check_same(table);
  const std::string listed = output_of("nft list ruleset");
  CAPTURE(listed);
  CHECK(listed.find("comment \"by hand\"") != std::string::npos);
  CHECK(listed.find("comment \"what comes in\"") != std::string::npos);
  CHECK(listed.find("policy memory") != std::string::npos);
  CHECK(listed.find("__chain") == std::string::npos);
  CHECK(listed.find("counter packets 0 bytes 0 comment \"innermost\"") != std::string::npos);
}

TEST_CASE("what nft notes of a set for its own listing") {
  fresh_network();
  REQUIRE(rolewall::test::load_nft(R"(table inet rolewall {
  set offered {
    typeof tcp option maxseg size
    comment "seen"
    elements = { 1400 }
  }
  set merged {
    type ipv4_addr
    flags interval
    auto-merge
    elements = { 10.0.0.0/8 }
  }
  map pools {
    type ipv4_addr : interval ipv4_addr
    elements = { 10.0.0.1 : 10.1.0.0/24 }
  }
})") == "");
  const std::string listed = output_of("nft list ruleset");
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto read = kernel->dump_table(Family::Inet, "rolewall");
  REQUIRE(read);
  REQUIRE(*read);
  check_same(**read);
  CHECK(output_of("nft list ruleset") == listed);
}

TEST_CASE("element columns: what remains, and what an element holds of its own") {
  fresh_network();
  Set bans = make_set("bans", {kIpv4});
  bans.has_timeout = true;
  add_key(bans, {192, 0, 2, 1});
  add_key(bans, {192, 0, 2, 2});
  add_key(bans, {192, 0, 2, 3});
  bans.elements.timeouts_ms = {600'000, 600'000, 600'000};
  bans.elements.expirations_ms = {100'000, 0, 0};
  bans.elements.exprs = {{}, {Counter{7, 700}}, {}};
  const Table live = round_trip(table_of({}, {bans}));
  const Elements& read = live.sets[0].elements;
  REQUIRE(read.count() == 3);
  CHECK(read.timeouts_ms == bans.elements.timeouts_ms);
  REQUIRE(read.expirations_ms.size() == 3);
  CHECK(read.expirations_ms[0] > 90'000);
  CHECK(read.expirations_ms[0] <= 100'000);
  CHECK(read.expirations_ms[1] > 590'000);
  CHECK(read.exprs[1] == std::vector<StatefulExpr>{Counter{7, 700}});
}

TEST_CASE("base chains: every hook and type of the family") {
  fresh_network();
  std::vector<Chain> chains;
  for (const Hook hook :
       {Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting}) {
    chains.push_back(
        base_chain("filter" + std::to_string(chains.size()), hook, {}, VerdictCode::Drop, -150));
  }
  Chain nat = base_chain("nat", Hook::Output, {}, VerdictCode::Accept, -100);
  nat.base->type = ChainType::Nat;
  chains.push_back(nat);
  Chain route = base_chain("route", Hook::Output, {}, VerdictCode::Accept, -150);
  route.base->type = ChainType::Route;
  chains.push_back(route);
  Chain ingress = base_chain("ingress", Hook::Ingress, {}, VerdictCode::Accept, -500);
  ingress.base->devices = {"lo"};
  chains.push_back(ingress);
  check_same(table_of(chains));
}

TEST_CASE("families and their own hooks") {
  fresh_network();
  for (const Family family : {Family::Ip, Family::Ip6, Family::Bridge}) {
    Table table = table_of({base_chain("forward", Hook::Forward, {rule("r", {Counter{}})})});
    table.family = family;
    check_same(table);
  }
  Table arp = table_of({base_chain("in", Hook::Input, {}), base_chain("out", Hook::Output, {})});
  arp.family = Family::Arp;
  check_same(arp);
  Chain both = base_chain("in", Hook::Ingress, {});
  both.base->devices = {"lo"};
  Chain egress = base_chain("out", Hook::Egress, {});
  egress.base->devices = {"lo"};
  Table netdev = table_of({both, egress});
  netdev.family = Family::Netdev;
  check_same(netdev);
}

TEST_CASE("what the kernel would cut off is refused before it is sent") {
  fresh_network();
  auto kernel = Connection::open();
  REQUIRE(kernel);
  const auto refused = [&](const Table& table, const std::string& words) {
    const auto result = kernel->replace_table(table, std::nullopt);
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    CHECK(result.error().message.find(words) != std::string::npos);
    CHECK_FALSE(kernel->dump_table(Family::Inet, kOwnTable)->has_value());
  };
  refused(table_of({plain_chain(std::string(256, 'x'))}), "1 to 255 bytes");
  refused(table_of({plain_chain("c", {rule(std::string(128, 'x'), {})})}), "at most 127");
  refused(
      table_of({plain_chain("c", {rule("long", {Log{std::string(128, 'x'), {}, 4, 0, 0, 0}})})}),
      "log prefix");
  refused(table_of({plain_chain("c", {rule("odd", {Unsupported{"fib", "not modelled"}})})}),
          "rule odd in chain c: `fib`");
  refused(table_of({plain_chain("c", {rule("many", std::vector<Expr>(129, Counter{}))})}),
          "129 expressions");
  const Limit limit{LimitUnit::Packets, 5, 1, 5, false};
  refused(table_of({plain_chain(
              "c", {rule("three",
                         {Dynset{DynsetOp::Add, "s", 0, {}, 0, false, {limit, limit, limit}}})})}),
          "holds 3 expressions");
  // To the kernel it would be the set `s`.
  const std::string with_nul("s\0x", 3);
  refused(table_of({plain_chain(
              "c", {rule("nul", {Lookup{with_nul, 0, LookupResult::Membership, 0, false}})})}),
          "the name of a set");
  refused(table_of({plain_chain("c", {rule("nul", {verdict(VerdictCode::Jump, with_nul)})})}),
          "the name of a chain");
  refused(table_of({plain_chain("c", {rule("nul", {Log{with_nul, {}, 4, 0, 0, 0}})})}), "no NUL");
  Chain many = base_chain("c", Hook::Ingress, {});
  many.base->devices.assign(257, "lo");
  refused(table_of({many}), "257 devices");
  refused(table_of({base_chain("c", Hook::Egress, {})}), "no hook egress");
  Table timeouts = table_of({});
  CtTimeout timeout{.family = 2, .protocol = 6, .values = {}};
  timeout.values.assign(10'000, {.state = 1, .seconds = 5});
  Object object;
  object.name = "timeouts";
  object.type = 7;  // NFT_OBJECT_CT_TIMEOUT
  object.body = timeout;
  timeouts.objects = {object};
  refused(timeouts, "object timeouts is too large");
  Set set = make_set("s", {kIpv4});
  set.elements.keys = {1, 2, 3};
  refused(table_of({}, {set}), "cut short");
  set = make_set("s", {kIpv4});
  set.notes.assign(257, 0);
  refused(table_of({}, {set}), "257 bytes");
  set = make_set("s", {kIpv4});
  add_key(set, {192, 0, 2, 1});
  set.elements.exprs = {{limit, limit, limit}};
  refused(table_of({}, {set}), "holds 3 expressions");
  set = make_set("s", {kIpv4});
  set.unsupported = "attribute 9 is unknown";
  refused(table_of({}, {set}), "attribute 9");
}

}  // namespace
}  // namespace rolewall::netlink
