// Translation of a flow's first packet: what the rest of its way sees, and what leaves.
#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

#include "eval/checksum.h"
#include "eval/tracker.h"
#include "eval/wire.h"
#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr std::uint32_t kMapIps = 1;
constexpr std::uint32_t kPorts = 2;

Chain nat_chain(Hook hook, std::vector<Expr> exprs) {
  const bool destination = hook == Hook::Prerouting || hook == Hook::Output;
  Chain chain =
      base_chain({rule(std::move(exprs))}, hook, destination ? -100 : 100, VerdictCode::Accept);
  chain.base->type = ChainType::Nat;
  return chain;
}

Host gateway() {
  Host on = host();
  on.forwards_ipv4 = true;
  on.forwards_ipv6 = true;
  on.routes.emplace();
  const auto route = [&](const char* to, RouteType type, const char* device, std::uint32_t table) {
    Route made;
    made.to = prefix(to);
    made.type = type;
    made.device = device;
    made.table = table;
    on.routes->push_back(made);
  };
  route("0.0.0.0/0", RouteType::Unicast, "wan", 254);
  route("::/0", RouteType::Unicast, "wan", 254);
  route("10.0.0.1", RouteType::Local, "eth0", 255);
  route("fd00::1", RouteType::Local, "eth0", 255);
  route("198.51.100.1", RouteType::Local, "wan", 255);
  return on;
}

std::string_view checksum_of(const Packet& packet) {
  const ByteSpan all = packet.bytes;
  const bool ipv6 = packet.ether_type == kEtherTypeIpv6;
  if (!ipv6 && internet_checksum(all.first(20)) != 0) return "the IP checksum is wrong";
  const std::size_t at = ipv6 ? 40 : 20;
  const std::size_t size = ipv6 ? 16 : 4;
  const std::size_t from = ipv6 ? ipv6::kSource : ipv4::kSource;
  const std::uint8_t protocol = ipv6 ? all[6] : all[9];
  const std::uint16_t sum =
      protocol == 1 ? internet_checksum(all.subspan(at))
                    : transport_checksum(all.subspan(from, size), all.subspan(from + size, size),
                                         protocol, all.subspan(at));
  return sum == 0 ? "right" : "the transport's checksum is wrong";
}

net::Address address_at(const Packet& packet, std::size_t offset) {
  return net::ipv4_from_bytes(packet.bytes.data() + offset);
}

std::vector<Expr> to_address(const char* to, NatKind kind) {
  Nat nat;
  nat.kind = kind;
  nat.family = net::is_ipv4(address(to)) ? 2 : 10;
  nat.address_min = 4;
  nat.address_max = 4;
  nat.flags = kMapIps;
  return {Immediate{4, Value(net::to_bytes(address(to)))}, nat};
}

TEST_CASE("a new destination decides where the packet goes") {
  const Host on = gateway();
  // To another host: forwarded, and the filter sees the new address.
  std::vector<Expr> exprs = to_address("203.0.113.5", NatKind::Destination);
  std::get<Nat>(exprs[1]).port_min = 5;
  std::get<Nat>(exprs[1]).port_max = 5;
  std::get<Nat>(exprs[1]).flags = kMapIps | kPorts;
  exprs.insert(exprs.begin(), Immediate{5, Value::be16(8080)});
  auto sees_new = destination_port_is(6, 8080);
  sees_new.insert(sees_new.end(),
                  {load_network(16, 4), is(bytes_value({203, 0, 113, 5})), accept()});
  const auto rules =
      one_table({nat_chain(Hook::Prerouting, exprs), base_chain({rule(sees_new)}, Hook::Forward)});
  const Journey journey = Evaluator(rules, on).arrive(arriving(fields(6, 80)));
  CHECK_EQ(journey.fate(), Fate::Accept);
  REQUIRE_EQ(journey.hooks.size(), 3);
  CHECK(journey.hooks[1].hook == Hook::Forward);
  CHECK(address_at(journey.after, ipv4::kDestination) == address("203.0.113.5"));
  CHECK_EQ(be16(journey.after.bytes.data() + 22), 8080);
  CHECK_EQ(checksum_of(journey.after), "right");
  CHECK(journey.conditions.empty());

  // And to this host: delivered.
  PacketFields elsewhere = fields(6, 80);
  elsewhere.destination = address("198.51.100.77");
  const auto home =
      one_table({nat_chain(Hook::Prerouting, to_address("10.0.0.1", NatKind::Destination))});
  const Journey comes = Evaluator(home, on).arrive(arriving(elsewhere));
  CHECK(comes.hooks.back().hook == Hook::Input);
  CHECK_EQ(comes.fate(), Fate::Accept);
}

TEST_CASE("a new source is seen by no filter before it, and keeps the port") {
  const auto rules = one_table(
      {nat_chain(Hook::Postrouting, to_address("198.51.100.9", NatKind::Source)),
       base_chain({rule({load_network(12, 4), is(bytes_value({192, 0, 2, 7})), accept()})},
                  Hook::Forward)});
  for (const std::uint8_t protocol : Octets{1, 6, 17}) {
    PacketFields packet = fields(protocol, 53);
    packet.destination = address("8.8.8.8");
    const Journey journey = Evaluator(rules, gateway()).arrive(arriving(packet));
    CHECK_EQ(journey.fate(), Fate::Accept);
    CHECK(address_at(journey.after, ipv4::kSource) == address("198.51.100.9"));
    CHECK_EQ(checksum_of(journey.after), "right");
    if (protocol != 1) CHECK_EQ(be16(journey.after.bytes.data() + 20), 40000);
    CHECK(journey.conditions.empty());
  }
}

TEST_CASE("masquerade takes the address of the device that the packet leaves by") {
  PacketFields packet = fields(6, 80);
  packet.destination = address("8.8.8.8");
  const auto rules = one_table({nat_chain(Hook::Postrouting, {Masquerade{}})});
  const Journey journey = Evaluator(rules, gateway()).arrive(arriving(packet));
  CHECK(address_at(journey.after, ipv4::kSource) == address("198.51.100.1"));
  CHECK(journey.conditions.empty());
  Packet by_lan = arriving(packet);
  by_lan.out_device = "lan";
  CHECK_EQ(Evaluator(rules, gateway()).arrive(by_lan).fate(), Fate::Drop);  // it has no address
  Host unknown = gateway();
  unknown.routes.reset();
  const Journey guessed = Evaluator(rules, unknown).arrive(by_lan);
  REQUIRE_EQ(guessed.conditions.size(), 1);
  CHECK_EQ(guessed.conditions[0].is, "10.0.0.1");
}

// inet_select_addr() takes the first that fits, and what fits is not said; ipv6_dev_get_saddr()
// goes by scope before it goes by device.
TEST_CASE("of a device's addresses each is a way, and a link-local one is not for what goes far") {
  Host on = gateway();
  const auto own = [&](const char* text, const char* device) {
    on.addresses.push_back(prefix(text));
    Route& route = on.routes->emplace_back();
    route.to = prefix(text);
    route.type = RouteType::Local;
    route.device = device;
    route.table = 255;
  };
  on.interfaces.emplace_back().device = "eth0";
  own("198.51.100.2", "wan");
  own("fe80::1", "wan");
  const auto rules = one_table({nat_chain(Hook::Postrouting, {Masquerade{}})});
  PacketFields far = fields(6, 80);
  far.destination = address("8.8.8.8");
  const auto ways = Evaluator(rules, on).outcomes(arriving(far), Direction::Arrive).ways;
  REQUIRE_EQ(ways.size(), 2);
  CHECK(address_at(ways[0].after, ipv4::kSource) != address_at(ways[1].after, ipv4::kSource));
  PacketFields far6 = fields6(6, 80);
  far6.destination = address("2001:db8:5::1");
  const Journey journey = Evaluator(rules, on).arrive(arriving(far6));
  CHECK_EQ(journey.fate(), Fate::Accept);
  CHECK(net::Address(net::ipv6_from_bytes(journey.after.bytes.data() + ipv6::kSource)) ==
        address("fd00::1"));             // another device's
  PacketFields within = fields6(6, 80);  // RFC 6724, rule 1
  within.source = address("fd00::2");
  within.destination = address("fd00::1");
  Packet sent = build(within);
  sent.out_device = "lo";
  CHECK(net::Address(net::ipv6_from_bytes(Evaluator(rules, on).send(sent).after.bytes.data() +
                                          ipv6::kSource)) == address("fd00::1"));
}

TEST_CASE("a source port out of the range is drawn, under a condition") {
  Masquerade nat;
  nat.port_min = 1;
  nat.port_max = 2;
  nat.flags = kPorts;
  const auto rules = one_table({nat_chain(
      Hook::Postrouting, {Immediate{1, Value::be16(2000)}, Immediate{2, Value::be16(3000)}, nat})});
  PacketFields packet = fields(6, 80);
  packet.destination = address("8.8.8.8");
  const Journey drawn = Evaluator(rules, gateway()).arrive(arriving(packet));
  REQUIRE_EQ(drawn.conditions.size(), 1);
  CHECK_EQ(be16(drawn.after.bytes.data() + 20), 2000);
  packet.source_port = 2500;
  const Journey kept = Evaluator(rules, gateway()).arrive(arriving(packet));
  CHECK(kept.conditions.empty());
  CHECK_EQ(be16(kept.after.bytes.data() + 20), 2500);
}

TEST_CASE("redirect leads to this host: the device's address, or the loopback's on output") {
  Redirect nat;
  nat.port_min = 1;
  nat.flags = kPorts;
  const std::vector<Expr> exprs{Immediate{1, Value::be16(3128)}, nat};
  PacketFields packet = fields(6, 80);
  packet.destination = address("8.8.8.8");
  const auto in = one_table({nat_chain(Hook::Prerouting, exprs)});
  const Journey arrives = Evaluator(in, gateway()).arrive(arriving(packet));
  CHECK(arrives.hooks.back().hook == Hook::Input);
  CHECK(address_at(arrives.after, ipv4::kDestination) == address("10.0.0.1"));
  CHECK_EQ(be16(arrives.after.bytes.data() + 22), 3128);
  CHECK_EQ(checksum_of(arrives.after), "right");

  const auto out = one_table({nat_chain(Hook::Output, exprs)});
  packet.source = address("10.0.0.1");
  Packet sent = build(packet);
  sent.out_device = "wan";
  const Journey leaves = Evaluator(out, gateway()).send(sent);
  CHECK(address_at(leaves.after, ipv4::kDestination) == address("127.0.0.1"));
  // There it comes in again, as the same packet.
  CHECK(leaves.hooks.back().hook == Hook::Input);
  CHECK_EQ(leaves.after.in_device, "lo");
  const Journey left = Evaluator(out, gateway()).send(sent, {.follows_back = false});
  CHECK_EQ(left.after.out_device, "lo");
}

TEST_CASE("of a packet that comes back input decides, by what its way out has found") {
  Redirect nat;
  nat.port_min = 1;
  nat.flags = kPorts;
  PacketFields packet = fields(6, 80);
  packet.source = address("10.0.0.1");
  packet.destination = address("8.8.8.8");
  Packet sent = build(packet);
  sent.out_device = "wan";
  const auto by = [&](std::vector<Expr> exprs, Hook hook = Hook::Input) {
    exprs.push_back(drop());
    const auto rules =
        one_table({nat_chain(Hook::Output, {Immediate{1, Value::be16(3128)}, nat}),
                   base_chain({rule(std::move(exprs))}, hook, 0, VerdictCode::Accept)});
    return Evaluator(rules, gateway()).send(sent).fate();
  };
  std::vector<std::uint8_t> loopback(16);
  loopback[0] = 'l';
  loopback[1] = 'o';
  CHECK_EQ(by(destination_port_is(6, 3128)), Fate::Drop);
  CHECK_EQ(by(destination_port_is(6, 3128), Hook::Prerouting), Fate::Drop);
  CHECK_EQ(by(destination_port_is(6, 80)), Fate::Accept);
  CHECK_EQ(by({load_meta(MetaKey::IifName), is(bytes_value(loopback))}), Fate::Drop);
  CHECK_EQ(by({load_ct(CtKey::State), is(Value::host_u32(ct_state::kNew))}), Fate::Drop);
}

TEST_CASE("of several addresses that fit, later packets of other flows do not hang on one") {
  Redirect nat;
  Host on = gateway();
  on.routes->push_back({.to = prefix("10.0.0.2"),
                        .type = RouteType::Local,
                        .device = "eth0",
                        .gateway = {},
                        .table = 255});
  auto exprs = destination_port_is(6, 80);
  exprs.push_back(nat);
  const auto rules = one_table({nat_chain(Hook::Prerouting, std::move(exprs))});
  Evaluator evaluator(rules, on);
  const auto ways = [&](const char* source, std::uint16_t port) {
    PacketFields packet = fields(6, port);
    packet.source = address(source);
    packet.destination = address("8.8.8.8");
    return evaluator.next(arriving(packet), Direction::Arrive).ways;
  };
  CHECK_EQ(ways("10.0.0.7", 80).size(), 2);
  CHECK(ways("10.0.0.8", 81).front().conditions.empty());
  CHECK(ways("10.0.0.7", 81).front().conditions.empty());
  CHECK_FALSE(ways("10.0.0.7", 80).front().conditions.empty());
}

TEST_CASE("the original tuple stays, the reply's and the status change") {
  auto exprs = to_address("203.0.113.5", NatKind::Destination);
  const Ct original{CtKey::DestinationIp, CtDirection::Original, 0};
  const Ct reply{CtKey::SourceIp, CtDirection::Reply, 0};
  const auto rules =
      one_table({nat_chain(Hook::Prerouting, exprs),
                 base_chain({rule({original, is(bytes_value({10, 0, 0, 1})), reply,
                                   is(bytes_value({203, 0, 113, 5})), load_ct(CtKey::Status),
                                   is(Value::host_u32(1 << 5 | 1 << 8)), accept()})},
                            Hook::Forward)});
  CHECK_EQ(Evaluator(rules, gateway()).arrive(arriving(fields())).fate(), Fate::Accept);
}

TEST_CASE("IPv6 is translated alike, and a rule of the other family is passed over") {
  const auto rules =
      one_table({nat_chain(Hook::Prerouting, to_address("2001:db8:5::5", NatKind::Destination))});
  for (const std::uint8_t protocol : Octets{6, 17, 58}) {
    const Journey journey = Evaluator(rules, gateway()).arrive(arriving(fields6(protocol)));
    CHECK(net::Address(net::ipv6_from_bytes(journey.after.bytes.data() + ipv6::kDestination)) ==
          address("2001:db8:5::5"));
    CHECK_EQ(checksum_of(journey.after), "right");
  }
  const Journey other = Evaluator(rules, gateway()).arrive(arriving(fields()));
  CHECK(other.hooks.back().hook == Hook::Input);
}

// nft_nat_init() asks for conntrack of its own family, and without it no NAT chain is asked.
TEST_CASE("a chain that translates IPv4 alone is not asked about IPv6") {
  const auto rules =
      one_table({nat_chain(Hook::Prerouting, to_address("203.0.113.5", NatKind::Destination))});
  CHECK(Evaluator(rules, gateway()).arrive(arriving(fields())).hooks[0].decided);
  CHECK_FALSE(Evaluator(rules, gateway()).arrive(arriving(fields6())).hooks[0].decided);
  Ruleset tracked = rules;
  tracked.tables[0].chains.push_back(base_chain({rule({load_ct(CtKey::State)})}));
  CHECK(Evaluator(tracked, gateway()).arrive(arriving(fields6())).hooks[0].decided);
}

// nf_nat_redirect_ipv6().
TEST_CASE("redirect takes a link-local address where the device has no other") {
  Host on = gateway();
  std::erase_if(*on.routes, [](const Route& route) { return route.to == prefix("fd00::1"); });
  Route& route = on.routes->emplace_back();
  route.to = prefix("fe80::1");
  route.type = RouteType::Local;
  route.device = "eth0";
  route.table = 255;
  const auto rules = one_table({nat_chain(Hook::Prerouting, {Redirect{}})});
  const Journey journey = Evaluator(rules, on).arrive(arriving(fields6(6, 80)));
  CHECK(net::Address(net::ipv6_from_bytes(journey.after.bytes.data() + ipv6::kDestination)) ==
        address("fe80::1"));
}

// IPV6_ADDR_COMPATv4 is one of the bits that ipv6_addr_scope() tells.
TEST_CASE("redirect finds no address for what goes to one of ::/96") {
  const auto rules = one_table({nat_chain(Hook::Prerouting, {Redirect{}})});
  PacketFields packet = fields6(6, 80);
  packet.destination = address("::2");
  CHECK_EQ(Evaluator(rules, gateway()).arrive(arriving(packet)).fate(), Fate::Drop);
}

TEST_CASE("the first chain that translates ends the asking") {
  const ruleset::Chain first =
      nat_chain(Hook::Prerouting, to_address("203.0.113.5", NatKind::Destination));
  ruleset::Chain second =
      nat_chain(Hook::Prerouting, to_address("203.0.113.6", NatKind::Destination));
  second.name += "_too";
  const auto rules = one_table({first, second});
  const Journey journey = Evaluator(rules, gateway()).arrive(arriving(fields()));
  CHECK_EQ(journey.hooks[0].steps.size(), 1);
}

TEST_CASE("each flow gets a port that no other has, until none is left") {
  const auto rules =
      one_table({nat_chain(Hook::Postrouting, to_address("198.51.100.9", NatKind::Source))});
  const Host on = gateway();
  Evaluator evaluator(rules, on);
  const auto send = [&](const char* from, std::uint16_t port, std::uint64_t now_ns) {
    PacketFields packet = fields(17, 53);
    packet.source = address(from);
    packet.source_port = port;
    packet.destination = address("8.8.8.8");
    return evaluator.arrive(arriving(packet), {.keep_state = true, .now_ns = now_ns});
  };
  const auto port_of = [](const Journey& journey) { return be16(journey.after.bytes.data() + 20); };
  constexpr std::uint16_t kLeft = 300;
  for (std::uint16_t port = 1; port < 512; ++port) {  // of which one that is taken stays among them
    if (port == kLeft) continue;
    const Journey journey = send("192.0.2.7", port, 0);
    REQUIRE_EQ(port_of(journey), port);
    REQUIRE(journey.conditions.empty());
  }
  const Journey last = send("192.0.2.8", 310, 0);
  CHECK_EQ(last.fate(), Fate::Accept);
  CHECK_EQ(port_of(last), kLeft);
  CHECK_EQ(last.conditions.size(), 1);  // the kernel draws where it begins to search
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{1, 310, 511}) {
    const Journey none = send("192.0.2.9", port, 0);
    CHECK_EQ(none.fate(), Fate::Stack);
    CHECK_EQ(none.hooks.back().reason, kNotConfirmed);
    REQUIRE_EQ(none.conditions.size(), 1);
    CHECK_EQ(none.conditions[0].is, "one that is taken");
  }
  CHECK_EQ(port_of(send("192.0.2.9", 310, 40 * kSecond)), 310);  // all are over
}

TEST_CASE("of a source with very many flows not all are asked what they were translated to") {
  std::vector<Expr> exprs = to_address("198.51.100.9", NatKind::Source);
  exprs.insert(exprs.begin(), {load_network(16, 4), is(bytes_value({203, 0, 113, 5}))});
  const auto rules = one_table({nat_chain(Hook::Postrouting, exprs)});
  const Host on = gateway();
  for (const std::uint32_t flows : {1000U, 1030U}) {
    Evaluator evaluator(rules, on);
    PacketFields packet = fields(17, 53);
    for (std::uint32_t i = 0; i < flows; ++i) {
      packet.destination = net::Ipv4{0x08000000 + i};
      REQUIRE(evaluator.arrive(arriving(packet), {.keep_state = true}).conditions.empty());
    }
    packet.destination = address("203.0.113.5");
    const Journey journey = evaluator.arrive(arriving(packet), {.keep_state = true});
    CHECK(address_at(journey.after, ipv4::kSource) == address("198.51.100.9"));
    CHECK_EQ(journey.conditions.empty(), flows < 1024);
  }
}

// What the question says of a connection is its state alone.
std::vector<Journey> ways_of_known(std::vector<Chain> chains, std::uint32_t state) {
  const auto rules = one_table(std::move(chains));
  const Host on = gateway();
  Evaluator evaluator(rules, on);
  Packet packet = arriving(fields(17, 53));
  packet.ct_state = state;
  return evaluator.outcomes(packet, Direction::Arrive, {.note_reads = true}).ways;
}

TEST_CASE("a connection that was known before may be translated") {
  const Chain masquerades = nat_chain(Hook::Postrouting, {Masquerade{}});
  for (const std::uint32_t state : Words{ct_state::kEstablished, ct_state::kRelated}) {
    const auto ways = ways_of_known({masquerades}, state);
    REQUIRE_EQ(ways.size(), 2);
    CHECK_EQ(ways[0].fate(), Fate::Accept);
    CHECK_EQ(ways[1].fate(), Fate::Undecided);
    REQUIRE_EQ(ways[1].conditions.size(), 1);
    CHECK_EQ(ways[1].conditions[0].about, "whether its connection is translated");
  }
  for (const std::uint32_t state :
       Words{ct_state::kNew, ct_state::kInvalid, ct_state::kUntracked}) {
    CHECK_EQ(ways_of_known({masquerades}, state).size(), 1);
  }
}

TEST_CASE("without a rule that translates no connection is translated") {
  CHECK_EQ(ways_of_known({nat_chain(Hook::Postrouting, {accept()})}, ct_state::kEstablished).size(),
           1);
}

TEST_CASE("what is dropped before NAT is dropped, translated or not") {
  const auto ways =
      ways_of_known({nat_chain(Hook::Postrouting, {Masquerade{}}),
                     base_chain({rule({drop()})}, Hook::Prerouting, -150, VerdictCode::Accept)},
                    ct_state::kEstablished);
  REQUIRE_EQ(ways.size(), 1);
  CHECK_EQ(ways[0].fate(), Fate::Drop);
}

}  // namespace
}  // namespace rolewall::eval
