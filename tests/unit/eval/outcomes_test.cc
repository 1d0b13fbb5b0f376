// What the question does not say is chosen, listed, and gone through way by way.
#include <doctest/doctest.h>

#include <algorithm>

#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Expr random_below(std::uint32_t modulus) {
  return Numgen{NumgenKind::Random, modulus, 10, 0};
}

TEST_CASE("a random number takes its first value, and every one in turn") {
  const Host on = host();
  const auto rules = input_rules({rule({random_below(3), is(Value::host_u32(11)), accept()})});
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Drop);
  CHECK(journey.conditions == std::vector<Condition>{{"numgen random mod 3", "10"}});
  const Outcomes outcomes = evaluator.outcomes(arriving(fields()), Direction::Arrive);
  CHECK(outcomes.complete);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK(outcomes.ways[1].conditions == std::vector<Condition>{{"numgen random mod 3", "11"}});
  CHECK_EQ(outcomes.ways[2].fate(), Fate::Drop);
  // Asked again, the first answer is taken again.
  CHECK_EQ(evaluator.arrive(arriving(fields())).fate(), Fate::Drop);
}

TEST_CASE("two draws are independent, and too many ways are said to be") {
  const Host on = host();
  auto rules = input_rules({rule({random_below(2), random_below(3), accept()})});
  CHECK_EQ(Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive).ways.size(), 6);
  rules = input_rules({rule({random_below(16), random_below(16), accept()})});
  const Outcomes many = Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive);
  CHECK_EQ(many.ways.size(), Outcomes::kMost);
  CHECK_FALSE(many.complete);
}

// The ways' fates, a letter each, and the last way's conditions.
struct Ways {
  std::string fates;
  std::vector<Condition> conditions;
};
Ways ways_of(const std::vector<Expr>& exprs, const Host& on, const Packet& packet,
             std::vector<Set> sets = {}) {
  const auto rules = input_rules({rule(then(exprs, accept()))}, std::move(sets));
  Ways found;
  for (Journey& way : Evaluator(rules, on).outcomes(packet, Direction::Arrive).ways) {
    switch (way.fate()) {
      case Fate::Accept:
        found.fates += 'a';
        break;
      case Fate::Drop:
        found.fates += 'd';
        break;
      case Fate::Reject:
        found.fates += 'r';
        break;
      case Fate::Stack:
        found.fates += 's';
        break;
      case Fate::Held:
        found.fates += 'h';
        break;
      case Fate::Undecided:
        found.fates += '?';
        break;
    }
    found.conditions = std::move(way.conditions);
  }
  return found;
}
Ways ways_of(const std::vector<Expr>& exprs) {
  return ways_of(exprs, host(), arriving(fields()));
}

TEST_CASE("of what could be anything each test has both answers") {
  Ways ways = ways_of({random_below(1000), is(Value::host_u32(11))});
  CHECK_EQ(ways.fates, "da");
  CHECK(ways.conditions == std::vector<Condition>{{"numgen random mod 1000 is 11", "yes"}});
  // Read and not tested, it changes nothing.
  CHECK_EQ(ways_of({random_below(1000)}).fates, "a");
  // A register that is written again is known again.
  CHECK_EQ(ways_of({random_below(1000), load_meta(MetaKey::Length), is(Value::host_u32(64))}).fates,
           "a");
  CHECK_EQ(
      ways_of({random_below(1000), Immediate{0, Value::host_u32(4)}, is(Value::host_u32(4))}).fates,
      "a");
  // Reshaped it stays unknown; beside it nothing else is.
  ways = ways_of({random_below(1000), BitwiseMask{0, 1, 4, Value::host_u32(3), Value::host_u32(0)},
                  is(Value::host_u32(1), 1)});
  CHECK_EQ(ways.fates, "da");
  CHECK_EQ(ways.conditions.at(0).about, "what is made of numgen random mod 1000 is 0x01000000");
  CHECK_EQ(ways_of({random_below(1000), load_meta(MetaKey::Length, 1), is(Value::host_u32(64), 1)})
               .fates,
           "a");
  // To write it somewhere is more than can be followed.
  CHECK_EQ(ways_of({random_below(1000), MetaSet{MetaKey::Mark, 0}}).fates, "?");
  CHECK_EQ(ways_of({load_meta(MetaKey::Cpu), is(Value::host_u32(0))}).fates, "da");
  CHECK_EQ(ways_of({load_meta(MetaKey::Iif), is(Value::host_u32(2))}).fates, "da");
  CHECK_EQ(ways_of({load_meta(MetaKey::Iif), is(Value::host_u32(1))}).fates, "d");  // lo has it
  CHECK_EQ(ways_of({Rt{RtKey::TcpMss, 0}, is(Value::host_u32(0))}).fates, "da");
  CHECK_EQ(ways_of({Osf{0, 0, 0}, is(bytes_value(std::vector<std::uint8_t>(16)))}).fates, "da");
}

TEST_CASE("in a map it is each of the elements, or none") {
  Set map = exact_set("m", {{DataType::Mark, 4}}, {{1, 0, 0, 0}, {2, 0, 0, 0}});
  map.kind = SetKind::VerdictMap;
  map.elements.verdicts = {{VerdictCode::Drop, "", 0}, {VerdictCode::Accept, "", 0}};
  const std::vector<Expr> exprs{random_below(1000),
                                Lookup{"m", 0, LookupResult::Verdict, 0, false}};
  const Ways ways = ways_of(exprs, host(), arriving(fields()), {map});
  CHECK_EQ(ways.fates, "dad");
  CHECK_EQ(ways.conditions.at(0).is, "none of these");
  Set set = exact_set("m", {{DataType::Mark, 4}}, {{1, 0, 0, 0}});
  const Lookup inverted{"m", 0, LookupResult::Membership, 0, true};
  CHECK_EQ(ways_of({random_below(1000), inverted}, host(), arriving(fields()), {set}).fates, "ad");
}

TEST_CASE("the time, where it is given") {
  constexpr std::uint64_t kWednesday = 1'750'859'100;  // 2025-06-25 13:45:00 UTC
  Packet packet = arriving(fields());
  packet.time_ns = kWednesday * 1'000'000'000 + 5;
  const Host on = host();
  const auto fates = [&](MetaKey key, Value value) {
    return ways_of({load_meta(key), is(value)}, on, packet).fates;
  };
  CHECK_EQ(fates(MetaKey::TimeDay, Value::u8(3)), "a");
  CHECK_EQ(fates(MetaKey::TimeHour, Value::host_u32(13 * 3600 + 45 * 60)), "a");
  CHECK_EQ(fates(MetaKey::TimeHour, Value::host_u32(13 * 3600)), "d");
  CHECK_EQ(ways_of({load_meta(MetaKey::TimeDay), is(Value::u8(3))}).fates, "da");
}

TEST_CASE("devices of a running machine: index, group, kind, type") {
  Host on = host();
  Interface& eth0 = on.interfaces.emplace_back();
  eth0.device = "eth0";
  eth0.index = 7;
  eth0.group = 3;
  eth0.hardware_type = 1;
  eth0.kind = "veth";
  const auto fates = [&](MetaKey key, Value value) {
    return ways_of({load_meta(key), is(value)}, on, arriving(fields())).fates;
  };
  CHECK_EQ(fates(MetaKey::Iif, Value::host_u32(7)), "a");
  CHECK_EQ(fates(MetaKey::IifGroup, Value::host_u32(3)), "a");
  CHECK_EQ(fates(MetaKey::IifType, bytes_value({1, 0})), "a");
  CHECK_EQ(fates(MetaKey::IifKind, bytes_value({'v', 'e', 't', 'h', 0, 0, 0, 0})), "a");
}

TEST_CASE("what the routes say, where they are known") {
  Host on = host();
  on.routes.emplace();
  const auto route = [&](const char* to, RouteType type, const char* device, std::uint32_t table) {
    on.routes->push_back({prefix(to), type, device, std::nullopt, table, 0});
  };
  route("10.0.0.1/32", RouteType::Local, "eth0", 255);
  route("10.0.0.255/32", RouteType::Broadcast, "eth0", 255);
  route("192.0.2.0/24", RouteType::Unicast, "eth1", 254);
  route("198.51.100.0/24", RouteType::Blackhole, "", 254);
  route("2001:db8::/32", RouteType::Unicast, "eth0", 254);
  route("fd00::1/128", RouteType::Local, "eth0", 255);
  const auto fates = [&](std::uint32_t flags, FibResult result, Value value,
                         PacketFields packet = fields()) {
    return ways_of({Fib{result, flags, 0}, is(value)}, on, arriving(packet)).fates;
  };
  const auto from = [](const char* source) {
    PacketFields packet = fields();
    packet.source = address(source);
    return packet;
  };
  const auto type = [](RouteType t) { return Value::host_u32(static_cast<std::uint32_t>(t)); };
  constexpr std::uint32_t kBack = fib_flag::kSource | fib_flag::kIif | fib_flag::kPresent;
  // 192.0.2.7 came by eth0, and its route leads by eth1.
  CHECK_EQ(fates(kBack, FibResult::Oif, Value::u8(0)), "a");
  CHECK_EQ(fates(kBack, FibResult::Oif, Value::u8(1), fields6()), "a");
  CHECK_EQ(fates(kBack, FibResult::Oif, Value::u8(0), from("203.0.113.1")), "a");
  CHECK_EQ(fates(kBack, FibResult::Oif, Value::u8(0), from("198.51.100.1")), "a");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::OifName, bytes_value({'e', 't', 'h', '1', 0})), "a");
  CHECK_EQ(fates(fib_flag::kDestination, FibResult::OifName, bytes_value({0, 0, 0, 0})), "a");
  CHECK_EQ(fates(fib_flag::kDestination, FibResult::AddressType, type(RouteType::Local)), "a");
  on.routes->push_back(
      {prefix("::/0"), RouteType::Unicast, "eth0", address("2001:db8::ff"), 254, 0});
  for (const char* source : {"::", "::ffff:192.0.2.1"}) {
    PacketFields of_no_type = fields6();
    of_no_type.source = address(source);
    CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, Value::host_u32(0), of_no_type), "a");
  }
  on.routes->pop_back();
  // The first address of a network on a link is its routers', of any.
  PacketFields routers = fields6();
  routers.source = address("2001:db8::");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, type(RouteType::Anycast), routers),
           "a");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, type(RouteType::Unicast), fields6()),
           "a");
  CHECK_EQ(fates(fib_flag::kDestination | fib_flag::kIif, FibResult::AddressType,
                 type(RouteType::Local)),
           "a");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, type(RouteType::Broadcast),
                 from("10.0.0.255")),
           "a");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, type(RouteType::Unicast)), "a");
  CHECK_EQ(fates(fib_flag::kDestination, FibResult::AddressType, type(RouteType::Local), fields6()),
           "a");
  CHECK_EQ(fates(fib_flag::kDestination | fib_flag::kIif, FibResult::AddressType,
                 type(RouteType::Local), fields6()),
           "a");
  PacketFields lost = fields6();
  lost.source = address("2002::1");
  CHECK_EQ(fates(fib_flag::kSource, FibResult::AddressType, type(RouteType::Unreachable), lost),
           "a");
}

// rt6_device_match(): of several routes to the sender, the one by the device that bears the address
// that was asked for.
TEST_CASE("the way back of what came to a link-local address is by that address's device") {
  Host on = host();
  on.routes.emplace();
  on.routes->push_back({prefix("::/0"), RouteType::Unicast, "eth0", std::nullopt, 254, 100});
  on.routes->push_back({prefix("::/0"), RouteType::Unicast, "eth1", std::nullopt, 254, 200});
  on.routes->push_back({prefix("fe80::1"), RouteType::Local, "eth0", std::nullopt, 255, 0});
  on.routes->push_back({prefix("fe80::2"), RouteType::Local, "eth1", std::nullopt, 255, 0});
  const Fib fib{FibResult::Oif, fib_flag::kSource | fib_flag::kIif | fib_flag::kPresent, 0};
  const auto rules = one_table({base_chain({rule({fib, is(Value::u8(1)), accept()})},
                                           Hook::Prerouting, -300, VerdictCode::Drop)});
  const auto before_routing = [&](const char* to) {
    PacketFields packet = fields6();
    packet.destination = address(to);
    return Evaluator(rules, on).arrive(arriving(packet)).hooks.front().fate;
  };
  CHECK_EQ(before_routing("fe80::1"), Fate::Accept);
  CHECK_EQ(before_routing("fe80::2"), Fate::Drop);
  CHECK_EQ(before_routing("fd00::1"), Fate::Accept);  // one that no link owns says nothing

  const Fib type{FibResult::AddressType, fib_flag::kDestination, 0};
  const auto local = Value::host_u32(static_cast<std::uint32_t>(RouteType::Local));
  const auto of_type = one_table(
      {base_chain({rule({type, is(local), accept()})}, Hook::Prerouting, -300, VerdictCode::Drop)});
  const auto is_local = [&](const char* to) {
    PacketFields packet = fields6();
    packet.destination = address(to);
    return Evaluator(of_type, on).arrive(arriving(packet)).hooks.front().fate == Fate::Accept;
  };
  CHECK(is_local("fe80::1"));
  CHECK_FALSE(is_local("fe80::2"));  // it came by eth0
}

// __nft_fib6_eval_type() asks for the route before it looks at the address.
TEST_CASE("the type of an IPv6 group is that of its route") {
  Host on = host();
  on.routes.emplace();
  on.routes->push_back({prefix("ff00::/8"), RouteType::Multicast, "eth0", std::nullopt, 255, 256});
  on.routes->push_back({prefix("::/0"), RouteType::Unicast, "eth0", address("fe80::9"), 254, 0});
  const auto is_of_type = [&](const char* source, RouteType type) {
    const auto number = Value::host_u32(static_cast<std::uint32_t>(type));
    const auto rules = one_table({base_chain(
        {rule({Fib{FibResult::AddressType, fib_flag::kSource, 0}, is(number), accept()})},
        Hook::Postrouting, 0, VerdictCode::Drop)});
    PacketFields packet = fields6();
    packet.source = address(source);
    Packet leaving = arriving(packet);
    leaving.in_device.clear();
    leaving.out_device = "eth0";
    return Evaluator(rules, on).send(leaving).fate() == Fate::Accept;
  };
  // The network's first address.
  CHECK(is_of_type("ff00::", RouteType::Anycast));
  CHECK(is_of_type("ff05::2", RouteType::Multicast));
  CHECK(is_of_type("ff02::1", RouteType::Multicast));
  on.routes->front().device = "eth1";
  CHECK(is_of_type("ff05::2", RouteType::Multicast));
  CHECK(is_of_type("ff02::1", RouteType::Multicast));  // by the default route
  on.routes->pop_back();
  CHECK(is_of_type("ff02::1", RouteType::Unreachable));
}

TEST_CASE("taken elsewhere: SYN proxy, transparent proxy, another device") {
  const auto flags = [](std::uint8_t bits) {
    PacketFields packet = fields();
    packet.tcp_flags = bits;
    return arriving(packet);
  };
  const Host on = host();
  const Expr proxy = Synproxy{1460, 7, 0};
  CHECK_EQ(ways_of({proxy}, on, flags(0x02)).fates, "s");
  CHECK_EQ(ways_of({proxy}, on, flags(0x10)).fates, "ds");
  CHECK_EQ(ways_of({proxy}, on, flags(0x04)).fates, "a");
  CHECK_EQ(ways_of({proxy}, on, arriving(fields(17, 53))).fates, "d");
  CHECK_EQ(ways_of({proxy}, on, arriving(fields6())).fates, "?");
  CHECK_EQ(ways_of({proxy}, on, arriving(fields6(17, 53))).fates, "d");
  Packet damaged = flags(0x02);
  damaged.bytes.back() ^= 1;
  CHECK_EQ(ways_of({proxy}, on, damaged).fates, "d");
  CHECK_EQ(ways_of({Tproxy{0, std::nullopt, std::nullopt}}, on, arriving(fields(17, 53))).fates,
           "da");
  CHECK_EQ(ways_of({Tproxy{0, std::nullopt, std::nullopt}}, on, arriving(fields(132, 5))).fates,
           "d");
  CHECK_EQ(ways_of({Dup{std::nullopt, 0}}).fates, "a");
  const auto table =
      one_table({base_chain({rule({Immediate{0, Value::host_u32(9)}, Fwd{0, std::nullopt, 0}})},
                            Hook::Ingress, 0, VerdictCode::Accept)},
                {}, Family::Netdev);
  auto devices = table;
  devices.tables[0].chains[0].base->devices = {"eth0"};
  const Journey journey = Evaluator(devices, on).arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Stack);
  CHECK_EQ(journey.hooks.back().reason, "sent out by the device of index 9, past the IP stack");
}

TEST_CASE("sent on to an address, a packet takes a hop, and is of that address's family") {
  const Host on = host();
  auto rules = one_table(
      {base_chain({rule({Immediate{0, Value::host_u32(9)}, Immediate{1, Value::host_u32(1)},
                         Fwd{0, 1, static_cast<std::uint32_t>(Family::Ip)}})},
                  Hook::Ingress, 0, VerdictCode::Accept)},
      {}, Family::Netdev);
  rules.tables[0].chains[0].base->devices = {"eth0"};
  const auto fate = [&](PacketFields packet, std::uint8_t ttl) {
    packet.ttl = ttl;
    return Evaluator(rules, on).arrive(arriving(packet)).fate();
  };
  CHECK_EQ(fate(fields(), 2), Fate::Stack);
  CHECK_EQ(fate(fields(), 1), Fate::Drop);
  CHECK_EQ(fate(fields6(), 1), Fate::Accept);
}

TEST_CASE(
    "egress: a later IPv6 fragment's ports would be the Ethernet header's, datagrams are cut") {
  Host on = host();
  on.forwards_ipv6 = true;
  const Chain tracks =
      base_chain({rule({load_ct(CtKey::State)})}, Hook::Prerouting, 0, VerdictCode::Accept);
  const auto with = [&](std::vector<Chain> before, std::vector<Expr> exprs) {
    auto rules = one_table(
        {base_chain({rule(then(std::move(exprs), drop()))}, Hook::Egress, 0, VerdictCode::Accept)},
        {}, Family::Netdev);
    rules.tables[0].chains[0].base->devices = {"eth1"};
    Table table;
    table.family = Family::Inet;
    table.name = "before";
    table.chains = std::move(before);
    rules.tables.push_back(std::move(table));
    return rules;
  };
  PacketFields part = fields6(17, 53);
  part.destination = address("2001:db8:2::1");
  part.length = 40 + 8 + 16;
  part.more_fragments = true;
  Packet first = arriving(part);
  part.fragment_offset = 16;
  part.more_fragments = false;
  Packet last = arriving(part);
  first.out_device = last.out_device = "eth1";
  const auto fate = [&](const Ruleset& rules, std::initializer_list<Packet> packets) {
    Evaluator evaluator(rules, on);
    Journey journey;
    for (const Packet& packet : packets) journey = evaluator.arrive(packet, {.keep_state = true});
    return journey.fate();
  };
  const auto port = with({}, {load_transport(2, 2), is(Value::be16(53))});
  CHECK_EQ(fate(port, {last}), Fate::Undecided);
  CHECK_EQ(fate(with({}, {load_transport(0, 8)}), {last}), Fate::Accept);  // it knows fragments
  CHECK_EQ(fate(with({tracks}, {}), {first, last}), Fate::Undecided);
}

TEST_CASE("egress: behind postrouting, on the device that the packet leaves by") {
  const Host on = host();
  auto rules = one_table(
      {base_chain({rule({load_meta(MetaKey::Length), is(Value::host_u32(14 + 40)), drop()})},
                  Hook::Egress, 0, VerdictCode::Accept)},
      {}, Family::Netdev);
  rules.tables[0].chains[0].base->devices = {"eth1"};
  Packet packet = build(fields());
  packet.bytes.resize(40);
  packet.bytes[3] = 40;
  packet.out_device = "eth0";
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Accept);
  packet.out_device = "eth1";
  const Journey journey = Evaluator(rules, on).send(packet);
  CHECK_EQ(journey.fate(), Fate::Drop);
  CHECK_EQ(journey.hooks.back().hook, Hook::Egress);
}

// The kernel has written it by then (dev_queue_xmit()).
TEST_CASE("egress: the Ethernet header is the one that it leaves with") {
  const Host on = host();
  auto rules = one_table({base_chain({rule({Payload{PayloadBase::Link, 0, 6, 0},
                                            is(bytes_value({2, 0, 0, 0, 2, 2})), drop()})},
                                     Hook::Egress, 0, VerdictCode::Accept)},
                         {}, Family::Netdev);
  rules.tables[0].chains[0].base->devices = {"eth1"};
  Packet packet = build(fields());
  packet.out_device = "eth1";
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Undecided);
  packet.link = {2, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8, 0};
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Drop);  // captured as it left
  packet.in_device = "eth0";  // with the header that it has come with
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Undecided);
}

TEST_CASE("every way begins with the same state, which stays") {
  const Host on = host();
  const auto rules = input_rules(
      {rule({random_below(2), Limit{LimitUnit::Packets, 1, 3600, 1, false}, accept()})});
  Evaluator evaluator(rules, on);
  const Options keep{.keep_state = true};
  const Outcomes outcomes = evaluator.outcomes(arriving(fields()), Direction::Arrive, keep);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Drop);
}

TEST_CASE("incremental numbers count from the first, over packets") {
  const Host on = host();
  const auto rules = input_rules(
      {rule({Numgen{NumgenKind::Incremental, 2, 5, 0}, is(Value::host_u32(5)), accept()})});
  Evaluator evaluator(rules, on);
  const Options keep{.keep_state = true};
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Drop);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
}

TEST_CASE("the type of an address: known of groups and the host's own, else chosen") {
  const auto type_is = [](std::uint32_t flag, RouteType type) {
    return std::vector<Expr>{Fib{FibResult::AddressType, flag, 0},
                             is(Value::host_u32(static_cast<std::uint32_t>(type)))};
  };
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Local), arriving(fields())));
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Local), arriving(fields6())));
  PacketFields group = fields(17, 53);
  group.destination = address("224.0.0.1");
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Multicast), arriving(group)));
  const Host on = host();
  const auto rules =
      input_rules({rule(then(type_is(fib_flag::kSource, RouteType::Unicast), accept()))});
  const Outcomes outcomes = Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].conditions.at(0).is, "broadcast");
}

TEST_CASE("no route back, no socket, no transform, no tunnel") {
  const auto ways = [](const std::vector<Expr>& exprs) { return ways_of(exprs).fates; };
  const Expr back = Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kIif | fib_flag::kPresent, 0};
  CHECK_EQ(ways({back, is(Value::u8(1))}), "ad");
  CHECK_EQ(ways({back, is(Value::u8(0))}), "da");
  const Expr transparent = Socket{SocketKey::Transparent, 0, 0};
  CHECK_EQ(ways({transparent, is(Value::u8(0))}), "dad");
  CHECK_EQ(ways({transparent, is_not(Value::u8(0))}), "dda");
  Host without = host();
  without.has_transparent_sockets = false;
  CHECK_EQ(ways_of({transparent, is(Value::u8(1))}, without, arriving(fields())).fates, "dd");
  CHECK_EQ(ways_of({transparent, is(Value::u8(0))}, without, arriving(fields())).fates, "da");
  CHECK_EQ(ways_of({Tproxy{0, std::nullopt, std::nullopt}}, without, arriving(fields())).fates,
           "d");
  without.has_transparent_sockets = true;
  CHECK_EQ(ways_of({transparent, is(Value::u8(1))}, without, arriving(fields())).fates, "dda");
  CHECK_EQ(ways({Xfrm{XfrmKey::RequestId, XfrmDirection::In, 0, 0}}), "d");
  CHECK_EQ(ways({Tunnel{TunnelKey::Id, TunnelMode::Any, 0}}), "d");
  CHECK_EQ(ways({Tunnel{TunnelKey::Path, TunnelMode::Any, 0}, is(Value::u8(0))}), "a");
  CHECK_EQ(ways({SymmetricHash{4, 0, 0}, is(Value::host_u32(3))}), "ddda");
}

TEST_CASE("a conversation goes on by each packet's first way") {
  const Host on = host();
  const auto rules = input_rules(
      {rule({random_below(2), Limit{LimitUnit::Packets, 1, 3600, 1, false}, accept()})});
  Evaluator evaluator(rules, on);
  const auto fates = [&] {
    std::vector<Fate> all;
    for (const Journey& way : evaluator.next(arriving(fields()), Direction::Arrive).ways) {
      all.push_back(way.fate());
    }
    return all;
  };
  CHECK_EQ(fates(), std::vector{Fate::Accept, Fate::Accept});
  CHECK_EQ(fates(), std::vector{Fate::Drop, Fate::Drop});
  evaluator.reset();
  CHECK_EQ(fates(), std::vector{Fate::Accept, Fate::Accept});
}

TEST_CASE(
    "what ways beyond those that are listed may have left behind is uncertain to later ones") {
  const Host on = host();
  // The ways that are listed accept, all of them; the first draw's other answer drops.
  const auto rules = input_rules({rule({load_ct(CtKey::State)}),
                                  rule({random_below(2), is(Value::host_u32(11)), drop()}),
                                  rule({random_below(8), random_below(8), accept()})});
  Evaluator evaluator(rules, on);
  const PacketFields asks = fields(17, 53);
  const Outcomes first = evaluator.next(arriving(asks), Direction::Arrive);
  CHECK_FALSE(first.complete);
  CHECK(std::ranges::all_of(first.ways,
                            [](const Journey& way) { return way.fate() == Fate::Accept; }));
  // So there may be no connection that this one belongs to.
  const Outcomes again = evaluator.next(arriving(asks), Direction::Arrive);
  CHECK(std::ranges::any_of(again.ways.front().conditions, [](const Condition& condition) {
    return condition.assumed && condition.about.starts_with("an earlier packet");
  }));
}

TEST_CASE(
    "what an uncertain packet may have changed is uncertain to later ones, and nothing else") {
  const Host on = host();
  const auto rules = input_rules({rule({load_ct(CtKey::State)}),
                                  rule({load_meta(MetaKey::L4Proto), is(Value::u8(17)), accept()}),
                                  rule({random_below(2), is(Value::host_u32(10)),
                                        Limit{LimitUnit::Packets, 1, 3600, 1, false}, accept()})});
  Evaluator evaluator(rules, on);
  const auto ask = [&](std::uint8_t protocol, std::uint16_t port) {
    PacketFields packet = fields(protocol, 22);
    packet.source_port = port;
    return evaluator.next(arriving(packet), Direction::Arrive).ways;
  };
  const auto fates = [&](std::uint16_t port) {
    std::vector<Fate> all;
    for (const Journey& way : ask(6, port)) all.push_back(way.fate());
    return all;
  };
  CHECK_EQ(fates(1), std::vector{Fate::Accept, Fate::Drop});
  // Whether the limit still has its token hangs on the packet before.
  CHECK_EQ(fates(2), std::vector{Fate::Drop, Fate::Accept, Fate::Drop});
  // And the first one's connection may be there or not.
  const auto again = ask(6, 1);
  CHECK(std::ranges::any_of(again.front().conditions, [](const Condition& condition) {
    return condition.assumed && condition.about.starts_with("an earlier packet");
  }));
  CHECK(ask(17, 3).front().conditions.empty());
}

}  // namespace
}  // namespace rolewall::eval
