// What comes by a bridge with br_netfilter: translated in prerouting, between its ports, for many.
#include <doctest/doctest.h>

#include <string>

#include "eval/wire.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr const char* kGuest = "10.0.0.9";

// A host with 10.0.0.0/24 on br0.
Host switching(std::optional<bool> shows) {
  Host on = host();
  on.forwards_ipv4 = on.forwards_ipv6 = true;
  on.interfaces.clear();
  Interface& bridge = on.interfaces.emplace_back();
  bridge.name = bridge.device = "br0";
  bridge.kind = "bridge";
  bridge.mtu = 1500;
  bridge.shows_ipv4 = bridge.shows_ipv6 = shows;
  Route& route = on.routes.emplace().emplace_back();
  route.to = prefix("10.0.0.0/24");
  route.device = "br0";
  return on;
}

Packet by_bridge(std::uint8_t protocol, std::uint8_t ttl = 64) {
  PacketFields made = fields(protocol, 80);
  made.source = address("10.0.0.5");
  made.ttl = ttl;
  Packet packet = arriving(made);
  packet.in_device = "br0";
  return packet;
}

Ruleset translating(NatKind kind, Hook hook, std::int32_t priority, const char* to) {
  Nat nat;
  nat.kind = kind;
  nat.family = 2;
  nat.address_min = 0;
  nat.flags = 1;  // NF_NAT_RANGE_MAP_IPS
  Chain chain = base_chain({rule({Immediate{0, Value(net::to_bytes(address(to)))}, nat})}, hook,
                           priority, VerdictCode::Accept);
  chain.base->type = ChainType::Nat;
  return one_table({chain});
}

Ruleset translating_to(const char* where) {
  return translating(NatKind::Destination, Hook::Prerouting, -100, where);
}

TEST_CASE("what prerouting has translated to another port goes on as a frame, with its hops") {
  const Host on = switching(true);
  const Ruleset rules = translating_to(kGuest);
  Evaluator evaluator(rules, on);
  const Outcomes outcomes = evaluator.outcomes(by_bridge(6, 1), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  const Journey& passed = outcomes.ways[0];
  CHECK_EQ(passed.fate(), Fate::Accept);
  CHECK_EQ(passed.hooks.back().hook, Hook::Postrouting);
  CHECK_EQ(passed.after.bytes[ipv4::kTtl], 1);
  CHECK_EQ(passed.after.out_device, "br0");
  CHECK_EQ(passed.conditions.front().about,
           "whether 10.0.0.9 is behind another port of br0 than the packet came by");
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Stack);
}

TEST_CASE("without br_netfilter the IP stack passes it on, and counts the hop") {
  const Host on = switching(false);
  const Ruleset rules = translating_to(kGuest);
  Evaluator evaluator(rules, on);
  CHECK_EQ(evaluator.arrive(by_bridge(6, 1)).fate(), Fate::Stack);
  const Journey journey = evaluator.arrive(by_bridge(6));
  CHECK_EQ(journey.fate(), Fate::Accept);
  CHECK_EQ(journey.after.bytes[ipv4::kTtl], 63);
  CHECK(journey.conditions.empty());
}

// The host does not forward, but for one of its two devices (force_forwarding).
Fate translated_elsewhere(std::string_view forwards, const char* source = "2001:db8::5") {
  Host on = switching(true);
  on.forwards_ipv4 = on.forwards_ipv6 = false;
  Interface& other = on.interfaces.emplace_back();
  other.name = other.device = "eth1";
  for (Interface& interface : on.interfaces) {
    interface.settings.emplace().forwards_ipv6 = interface.device == forwards;
  }
  Route& route = on.routes->emplace_back();
  route.to = prefix("2001:db8:1::/64");
  route.device = "eth1";
  Ruleset rules = translating_to("2001:db8:1::5");
  std::get<Nat>(rules.tables[0].chains[0].rules[0].exprs[1]).family = 10;
  PacketFields made = fields(6, 80);
  made.source = address(source);
  made.destination = address("2001:db8::1");
  Packet packet = arriving(made);
  packet.in_device = "br0";
  return Evaluator(rules, on).arrive(packet).fate();
}

TEST_CASE("of IPv6 a route that the bridge has found counts as its device's") {
  CHECK_EQ(translated_elsewhere("eth1"), Fate::Accept);
  CHECK_EQ(translated_elsewhere("br0"), Fate::Stack);
  // ip6_forward() asks only of what changes its device whether its source may be passed on.
  CHECK_EQ(translated_elsewhere("eth1", "fe80::5"), Fate::Accept);
}

TEST_CASE("what was for many, and a bridge has found a way for, is for one") {
  Host on = switching(true);
  on.interfaces[0].settings.emplace().drops_unicast_in_multicast = true;
  PacketFields made = fields(17, 80);
  made.source = address("10.0.0.5");
  made.destination = address("10.0.0.100");
  Packet packet = arriving(made);
  packet.in_device = "br0";
  packet.type = PacketType::Broadcast;
  const Ruleset none = one_table({base_chain({}, Hook::Prerouting, 0, VerdictCode::Accept)});
  CHECK_EQ(Evaluator(none, on).arrive(packet).fate(), Fate::Stack);
  const Ruleset rules = translating_to("10.0.0.1");
  CHECK_EQ(Evaluator(rules, on).arrive(packet).fate(), Fate::Accept);
}

TEST_CASE("where it is not known whether the bridge asks, both are tried") {
  const Host on = switching(std::nullopt);
  const Ruleset rules = translating_to(kGuest);
  Evaluator evaluator(rules, on);
  const Outcomes outcomes = evaluator.outcomes(by_bridge(6, 1), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Stack);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[0].conditions.front().about,
           "whether br0 shows its frames to prerouting (bridge-nf-call-iptables)");
  // What nobody translates hangs on none of it.
  const Ruleset none = one_table({base_chain({}, Hook::Prerouting, 0, VerdictCode::Accept)});
  CHECK(Evaluator(none, on).arrive(by_bridge(6)).conditions.empty());
}

TEST_CASE("a frame between the ports passes prerouting, forward and postrouting") {
  Packet packet = by_bridge(6);
  packet.type = PacketType::OtherHost;
  const Ruleset rules = one_table({base_chain({rule({drop()})}, Hook::Forward)});
  const Host shown = switching(true);
  const Journey journey = Evaluator(rules, shown).arrive(packet);
  CHECK_EQ(journey.fate(), Fate::Drop);
  CHECK_EQ(journey.hooks.back().hook, Hook::Forward);
  const Host not_shown = switching(false);
  CHECK_EQ(Evaluator(rules, not_shown).arrive(packet).fate(), Fate::Stack);
}

TEST_CASE("what is for many is a connection before input, where it is not translated any more") {
  const Ruleset rules = translating(NatKind::Source, Hook::Input, 100, "10.0.0.77");
  const auto source_after = [&](bool shows, PacketType type) {
    const Host on = switching(shows);
    Packet packet = by_bridge(17);
    packet.type = type;
    const Journey journey = Evaluator(rules, on).arrive(packet);
    CHECK_EQ(journey.fate(), Fate::Accept);
    return net::format(net::ipv4_from_bytes(journey.after.bytes.data() + ipv4::kSource));
  };
  CHECK_EQ(source_after(true, PacketType::Broadcast), "10.0.0.5");
  CHECK_EQ(source_after(true, PacketType::Host), "10.0.0.77");
  CHECK_EQ(source_after(false, PacketType::Broadcast), "10.0.0.77");
}

}  // namespace
}  // namespace rolewall::eval
