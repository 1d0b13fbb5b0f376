// A packet for another host: what the stack does with it around the forward hook.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <tuple>

#include "eval/checksum.h"
#include "eval/wire.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Host router() {
  Host on = host();
  on.forwards_ipv4 = true;
  on.forwards_ipv6 = true;
  const auto route = [&](const char* prefix, RouteType type, const char* device,
                         std::uint32_t table = 254) {
    Route made;
    made.to = *net::parse_prefix(prefix);
    made.type = type;
    made.device = device;
    made.table = table;
    on.routes->push_back(made);
  };
  on.routes.emplace();
  route("0.0.0.0/0", RouteType::Unicast, "wan");
  route("198.51.100.0/24", RouteType::Unicast, "lan");
  route("198.51.100.128/25", RouteType::Unicast, "dmz");
  route("198.51.100.255", RouteType::Broadcast, "lan", 255);
  route("2001:db8:1::", RouteType::Anycast, "lan", 255);
  route("203.0.113.0/24", RouteType::Blackhole, "");
  route("2001:db8:1::/48", RouteType::Unicast, "lan");
  return on;
}

Value name_value(std::string_view name) {
  std::array<std::uint8_t, 16> padded{};
  std::ranges::copy(name, padded.begin());
  return Value(padded);
}

Packet towards(const char* destination, std::uint8_t ttl = 64) {
  PacketFields packet = net::is_ipv4(address(destination)) ? fields(6, 80) : fields6(6, 80);
  packet.destination = address(destination);
  packet.ttl = ttl;
  return arriving(packet);
}

Journey journey_of(const Ruleset& rules, const Host& on, const Packet& packet) {
  return Evaluator(rules, on).arrive(packet);
}

Ruleset forward_accepts_to(const char* device) {
  return one_table({base_chain(
      {rule({load_meta(MetaKey::OifName), is(name_value(device)), accept()})}, Hook::Forward)});
}

// ip_forward(), where net.ipv4.ip_forward_update_priority is 1.
TEST_CASE("a forwarded packet's priority by its TOS is told as assumed, where a rule reads it") {
  const Host on = router();
  const auto told = [&](std::uint8_t tos, std::uint32_t priority) {
    const auto rules = one_table(
        {base_chain({rule({load_meta(MetaKey::Priority), is(Value::host_u32(priority)), accept()})},
                    Hook::Forward)});
    PacketFields made = fields(6, 80);
    made.destination = address("8.8.8.8");
    made.dscp = tos;
    const Journey journey = journey_of(rules, on, arriving(made));
    CHECK_EQ(journey.fate(), Fate::Accept);
    return journey.conditions;
  };
  CHECK(told(0, 0).empty());
  const auto conditions = told(2, 2);
  REQUIRE_EQ(conditions.size(), 1);
  CHECK_EQ(conditions[0].about, "the setting net.ipv4.ip_forward_update_priority");
  CHECK(conditions[0].assumed);
}

TEST_CASE("the longest prefix says which device a forwarded packet leaves by") {
  const Host on = router();
  for (const auto& [destination, device] :
       {std::pair("8.8.8.8", "wan"), std::pair("198.51.100.1", "lan"),
        std::pair("198.51.100.200", "dmz"), std::pair("2001:db8:1::1", "lan")}) {
    const Journey journey = journey_of(forward_accepts_to(device), on, towards(destination));
    CHECK_EQ(journey.fate(), Fate::Accept);
    REQUIRE_EQ(journey.hooks.size(), 3);
    CHECK(journey.hooks[1].hook == Hook::Forward);
    CHECK(journey.hooks[2].hook == Hook::Postrouting);
    CHECK_EQ(journey.after.out_device, device);
    CHECK_EQ(journey_of(forward_accepts_to("other"), on, towards(destination)).fate(), Fate::Drop);
  }
}

TEST_CASE("a packet without a way out ends in the stack") {
  const Host on = router();
  const Ruleset rules = forward_accepts_to("lan");
  CHECK_EQ(journey_of(rules, on, towards("203.0.113.9")).fate(), Fate::Stack);
  CHECK_EQ(journey_of(rules, on, towards("2001:db8:2::1")).fate(), Fate::Stack);
  Host unknown = router();
  unknown.routes.reset();
  Packet given = towards("198.51.100.1");
  given.out_device = "lan";
  CHECK_EQ(journey_of(rules, unknown, given).fate(), Fate::Accept);
  CHECK_EQ(journey_of(rules, host(), given).fate(), Fate::Accept);
  CHECK_EQ(journey_of(rules, host(), towards("198.51.100.1")).fate(), Fate::Stack);
}

TEST_CASE("without routes what is behind the devices says by which it may leave") {
  Host on = router();
  on.routes.reset();
  on.interfaces.clear();
  for (const char* device : {"wan", "lan", "dmz"}) {
    on.interfaces.emplace_back();
    on.interfaces.back().device = device;
  }
  on.interfaces[1].behind = net::AddressSet::from({prefix("198.51.100.0/24")});
  const Ruleset rules = forward_accepts_to("lan");
  CHECK_EQ(journey_of(rules, on, towards("198.51.100.1")).fate(), Fate::Accept);
  CHECK(journey_of(rules, on, towards("198.51.100.1")).conditions.empty());
  // By one of the two that have nothing behind them.
  const Ruleset to_dmz = forward_accepts_to("dmz");
  Evaluator evaluator(to_dmz, on);
  const Outcomes outcomes = evaluator.outcomes(towards("8.8.8.8"), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
}

TEST_CASE("each next hop of a route is a way") {
  Host on = router();
  for (const char* device : {"lan", "dmz", "lan"}) {
    Route& hop = on.routes->emplace_back();
    hop.to = prefix("203.0.113.0/25");
    hop.device = device;
    hop.one_of_several = true;
  }
  const Ruleset rules = forward_accepts_to("dmz");
  Evaluator evaluator(rules, on);
  const Outcomes outcomes = evaluator.outcomes(towards("203.0.113.9"), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);  // one for each device
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].conditions.front().about, "the next hop towards 203.0.113.9");
  CHECK_EQ(outcomes.ways[1].conditions.front().is, "dmz");
}

TEST_CASE(
    "of IPv6 routes with one prefix and metric the preference counts, then the device it came by") {
  Host on = router();
  const auto add = [&](const char* device, RouterPreference preference) {
    Route& route = on.routes->emplace_back();
    route.to = prefix("2001:db8:2::/48");
    route.device = device;
    route.preference = preference;
  };
  const auto ways = [&] {
    const Ruleset rules = forward_accepts_to("dmz");
    return Evaluator(rules, on).outcomes(towards("2001:db8:2::9"), Direction::Arrive).ways;
  };
  add("lan", RouterPreference::Low);
  add("dmz", RouterPreference::Medium);
  REQUIRE_EQ(ways().size(), 1);
  CHECK_EQ(ways()[0].fate(), Fate::Accept);
  add("lan", RouterPreference::Medium);
  REQUIRE_EQ(ways().size(), 2);  // which gateway answers is not known
  CHECK_EQ(ways()[0].fate(), Fate::Accept);
  CHECK_EQ(ways()[1].fate(), Fate::Drop);
  CHECK_EQ(ways()[1].conditions.front().about, "the next hop towards 2001:db8:2::9");
  add("eth0", RouterPreference::Medium);  // by which it came
  REQUIRE_EQ(ways().size(), 1);
  CHECK_EQ(ways()[0].fate(), Fate::Drop);
  add("lan", RouterPreference::High);
  REQUIRE_EQ(ways().size(), 1);
  CHECK_EQ(ways()[0].fate(), Fate::Drop);
}

TEST_CASE("where rules choose among routes, a packet may go by any device, or nowhere") {
  Host on = router();
  on.routes.reset();
  on.has_routing_rules = true;
  on.interfaces.clear();
  for (const char* device : {"wan", "lan"}) on.interfaces.emplace_back().device = device;
  const Ruleset rules = forward_accepts_to("lan");
  Evaluator evaluator(rules, on);
  const Outcomes outcomes = evaluator.outcomes(towards("203.0.113.9"), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[2].fate(), Fate::Stack);
}

TEST_CASE("what a route leads to this host is delivered") {
  const Ruleset rules = one_table({base_chain({rule({drop()})}, Hook::Forward)});
  Host alone = router();
  alone.forwards_ipv4 = false;
  alone.forwards_ipv6 = false;
  for (const char* shared : {"198.51.100.255", "2001:db8:1::"}) {
    CHECK(journey_of(rules, router(), towards(shared)).hooks.back().hook == Hook::Input);
    const Journey journey = journey_of(rules, alone, towards(shared));
    CHECK(journey.hooks.back().hook == Hook::Input);
    CHECK_EQ(journey.fate(), Fate::Accept);
  }
}

TEST_CASE("what a chain of type route has changed is routed again") {
  const auto sent_by = [](const Ruleset& rules, const char* to, const char* device) {
    const Host on = router();
    PacketFields packet = net::is_ipv4(address(to)) ? fields(6, 80) : fields6(6, 80);
    packet.source = net::is_ipv4(address(to)) ? address("10.0.0.1") : address("fe80::1");
    packet.destination = address(to);
    Packet made = build(packet);
    made.out_device = device;
    const Journey journey = Evaluator(rules, on).send(made);
    return journey.fate() == Fate::Accept ? journey.after.out_device
                                          : std::string(name_of(journey.fate()));
  };
  const auto with = [](ChainType type, std::vector<Expr> exprs) {
    Chain chain = base_chain({rule(std::move(exprs))}, Hook::Output, 0, VerdictCode::Accept);
    chain.base->type = type;
    return one_table({chain});
  };
  const std::vector<Expr> marks{Immediate{0, Value::host_u32(5)}, MetaSet{MetaKey::Mark, 0}};
  const std::vector<Expr> to_lan{
      Immediate{0, bytes_value({198, 51, 100, 1})},
      PayloadWrite{PayloadBase::Network, 16, 4, 0, ChecksumKind::Inet, 10, true}};
  CHECK_EQ(sent_by(with(ChainType::Route, to_lan), "8.8.8.8", "wan"), "lan");
  CHECK_EQ(sent_by(with(ChainType::Filter, to_lan), "8.8.8.8", "wan"), "wan");
  CHECK_EQ(sent_by(with(ChainType::Route, marks), "8.8.8.8", "wan"), "wan");
  // To an address of the link, by the device that it has: the loopback leads to no link.
  CHECK_EQ(sent_by(with(ChainType::Route, marks), "fe80::7", "lan"), "lan");
  CHECK_EQ(sent_by(with(ChainType::Route, marks), "fe80::1", "lo"), "stack");
  CHECK_EQ(sent_by(with(ChainType::Filter, marks), "fe80::1", "lo"), "lo");
}

TEST_CASE("routed again where rules choose among routes, it may go by any device, or nowhere") {
  Host on = router();
  on.routes.reset();
  on.has_routing_rules = true;
  on.interfaces.clear();
  for (const char* device : {"wan", "lan"}) on.interfaces.emplace_back().device = device;
  Chain chain = base_chain({rule({Immediate{0, Value::host_u32(5)}, MetaSet{MetaKey::Mark, 0}})},
                           Hook::Output, 0, VerdictCode::Accept);
  chain.base->type = ChainType::Route;
  const Ruleset rules = one_table({chain});
  PacketFields made = fields(6, 80);
  made.source = address("10.0.0.1");
  made.destination = address("8.8.8.8");
  Packet packet = build(made);
  packet.out_device = "wan";
  Evaluator evaluator(rules, on);
  const Outcomes outcomes = evaluator.outcomes(packet, Direction::Send);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].after.out_device, "wan");
  CHECK_EQ(outcomes.ways[1].after.out_device, "lan");
  CHECK_EQ(outcomes.ways[2].fate(), Fate::Stack);
  packet.mark = 5;  // as it was
  CHECK(Evaluator(rules, on).send(packet).conditions.empty());
}

TEST_CASE("routed again, a loopback address leaves by a device with route_localnet alone") {
  Chain chain = base_chain({rule({Immediate{0, Value::host_u32(5)}, MetaSet{MetaKey::Mark, 0}})},
                           Hook::Output, 0, VerdictCode::Accept);
  chain.base->type = ChainType::Route;
  const Ruleset rules = one_table({chain});
  PacketFields made = fields(6, 80);
  made.source = address("127.0.0.9");
  made.destination = address("8.8.8.8");
  Packet packet = build(made);
  packet.out_device = "wan";
  Host on = router();
  on.interfaces.clear();
  Interface& wan = on.interfaces.emplace_back();
  wan.device = "wan";
  wan.settings.emplace();
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Stack);
  Packet of_all = packet;
  of_all.bytes[13] = of_all.bytes[14] = of_all.bytes[15] = 255;
  CHECK_EQ(Evaluator(rules, on).send(of_all).fate(), Fate::Accept);
  wan.settings->route_localnet = true;
  CHECK_EQ(Evaluator(rules, on).send(packet).fate(), Fate::Accept);
}

TEST_CASE("the forward hook sees the hop taken off, with a right checksum") {
  const Host on = router();
  const auto rules = one_table(
      {base_chain({rule({load_network(8, 1), is(Value::u8(63)), accept()})}, Hook::Forward)});
  const Journey journey = journey_of(rules, on, towards("198.51.100.1"));
  CHECK_EQ(journey.fate(), Fate::Accept);
  CHECK_EQ(internet_checksum(ByteSpan(journey.after.bytes).first(20)), 0);
  CHECK_EQ(int{journey.after.bytes[ipv4::kTtl]}, 63);
  CHECK_EQ(journey_of(rules, on, towards("198.51.100.1", 1)).fate(), Fate::Stack);
  CHECK_EQ(journey_of(rules, on, towards("198.51.100.1", 2)).fate(), Fate::Drop);
  CHECK_EQ(journey_of(rules, on, towards("2001:db8:1::1", 1)).fate(), Fate::Stack);
}

TEST_CASE("postrouting knows both devices of a forwarded packet") {
  const auto rules = one_table(
      {base_chain({rule({load_meta(MetaKey::IifName), is(name_value(arriving(fields()).in_device)),
                         load_meta(MetaKey::OifName), is(name_value("lan")), accept()})},
                  Hook::Postrouting)});
  CHECK_EQ(journey_of(rules, router(), towards("198.51.100.1")).fate(), Fate::Accept);
}

TEST_CASE("a route for some packets alone is a condition for the destinations that it covers") {
  Host on = router();
  Route& by_tos = on.routes_for_some.emplace_back();
  by_tos.to = prefix("198.51.100.0/26");
  by_tos.device = "eth7";
  const auto devices = [&](const char* to) {
    std::string all;
    const Ruleset none = one_table({});
    for (const Journey& way : Evaluator(none, on).outcomes(towards(to), Direction::Arrive).ways) {
      all += (all.empty() ? "" : " ") + way.after.out_device;
    }
    return all;
  };
  CHECK_EQ(devices("198.51.100.1"), "lan eth7");
  CHECK_EQ(devices("198.51.100.200"), "dmz");
  CHECK_EQ(devices("8.8.8.8"), "wan");
  by_tos.to = prefix("198.51.0.0/16");  // shorter than what all packets take
  CHECK_EQ(devices("198.51.100.1"), "lan");
}

TEST_CASE("the table local tells a broadcast where no other route is known") {
  Host on = router();
  for (const Route& route : *on.routes) {
    if (route.table == 255) on.local_routes.push_back(route);
  }
  on.routes.reset();
  const Ruleset rules = one_table({base_chain({}, Hook::Forward)});
  CHECK_EQ(journey_of(rules, on, towards("198.51.100.255")).fate(), Fate::Accept);
  CHECK_EQ(journey_of(rules, on, towards("198.51.100.9")).fate(), Fate::Drop);
}

TEST_CASE("what a transparent socket has taken is not forwarded") {
  Ruleset rules = forward_accepts_to("lan");
  rules.tables[0].chains.push_back(base_chain({rule({Tproxy{0, std::nullopt, std::nullopt}})},
                                              Hook::Prerouting, 0, VerdictCode::Accept));
  const Host on = router();
  Evaluator evaluator(rules, on);
  const auto ways = evaluator.outcomes(towards("198.51.100.1"), Direction::Arrive).ways;
  REQUIRE_EQ(ways.size(), 2);
  CHECK_EQ(ways[0].fate(), Fate::Accept);
  CHECK_EQ(ways[1].fate(), Fate::Stack);
  CHECK(ways[1].hooks.back().hook == Hook::Forward);
}

TEST_CASE("a packet to a link-local IPv6 address stays on the link that it came by") {
  Host on = router();
  for (const char* device : {"lan", "eth0"}) {
    Route& route = on.routes->emplace_back();
    route.to = prefix("fe80::/64");
    route.device = device;
  }
  const Journey journey = journey_of(forward_accepts_to("eth0"), on, towards("fe80::9"));
  CHECK_EQ(journey.fate(), Fate::Accept);
  CHECK_EQ(journey.after.out_device, "eth0");
}

TEST_CASE("link-local and unspecified IPv6 sources are not forwarded") {
  for (const char* source : {"fe80::1", "::"}) {
    PacketFields packet = fields6(6, 80);
    packet.source = address(source);
    packet.destination = address("2001:db8:1::1");
    CHECK_EQ(journey_of(forward_accepts_to("lan"), router(), arriving(packet)).fate(), Fate::Stack);
  }
}

// rt6_need_strict(): each link has its own fe80::/10.
TEST_CASE("a link-local address is this host's on its own device alone") {
  Host on = router();
  for (const auto& [to, type, device, table] :
       {std::tuple("fe80::1:1", RouteType::Local, "eth0", 255U),
        std::tuple("fe80::2:1", RouteType::Local, "lan", 255U),
        std::tuple("::/0", RouteType::Unicast, "eth0", 254U)}) {
    Route& route = on.routes->emplace_back();
    route.to = prefix(to);
    route.type = type;
    route.device = device;
    route.table = table;
  }
  on.addresses.push_back(prefix("fe80::1:1"));
  on.addresses.push_back(prefix("fe80::2:1"));
  const Ruleset none;
  const auto hooks = [&](const char* to) {
    return journey_of(none, on, towards(to)).hooks.back().hook;
  };
  CHECK_EQ(hooks("fe80::1:1"), Hook::Input);
  CHECK_EQ(hooks("fe80::2:1"), Hook::Postrouting);  // sent on, by the device that it came by
  CHECK_EQ(journey_of(none, on, towards("fe80::2:1")).after.out_device, "eth0");
  on.forwards_ipv6 = false;
  CHECK_EQ(journey_of(none, on, towards("fe80::1:1")).fate(), Fate::Accept);
  CHECK_EQ(journey_of(none, on, towards("fe80::2:1")).fate(), Fate::Stack);
}

}  // namespace
}  // namespace rolewall::eval
