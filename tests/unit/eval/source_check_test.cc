// Which sources the stack takes, and what else a device's settings say of what arrives there.
#include <doctest/doctest.h>

#include <string>

#include "eval/checksum.h"
#include "eval/wire.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

// 10.0.0.1 on lan, 192.0.2.1 on wan, which leads everywhere; dmz has no address.
Host set_up_router(const StackSettings& lan, bool routes = true) {
  Host on;
  on.name = "router";
  on.addresses = {prefix("10.0.0.1"), prefix("192.0.2.1"), prefix("2001:db8::1")};
  for (const char* device : {"wan", "lan", "dmz"}) {
    Interface& interface = on.interfaces.emplace_back();
    interface.name = interface.device = device;
    interface.settings = lan;
  }
  if (!routes) return on;
  on.routes.emplace();
  const auto add = [&](const char* to, RouteType type, const char* device, std::uint32_t table) {
    Route& route = on.routes->emplace_back();
    route.to = prefix(to);
    route.type = type;
    route.device = device;
    route.table = table;
  };
  add("0.0.0.0/0", RouteType::Unicast, "wan", 254);
  add("10.0.0.0/24", RouteType::Unicast, "lan", 254);
  add("198.18.0.0/15", RouteType::Unreachable, "", 254);
  add("10.0.0.1", RouteType::Local, "lan", 255);
  add("192.0.2.1", RouteType::Local, "wan", 255);
  add("10.0.0.255", RouteType::Broadcast, "lan", 255);
  add("127.0.0.0/8", RouteType::Local, "lo", 255);
  return on;
}

Packet sent_to(const char* source, const char* device, const char* to = "10.0.0.1") {
  PacketFields made = net::is_ipv4(address(to)) ? fields(17, 53) : fields6(17, 53);
  made.source = address(source);
  made.destination = address(to);
  Packet packet = arriving(made);
  packet.in_device = device;
  return packet;
}

Journey way_into(const Host& on, const Packet& packet) {
  static const Ruleset kNone;
  return Evaluator(kNone, on).arrive(packet);
}
bool comes_in(const Host& on, const Packet& packet) {
  return way_into(on, packet).fate() == Fate::Accept;
}

StackSettings with_rp_filter(std::uint8_t value) {
  StackSettings settings;
  settings.rp_filter = value;
  return settings;
}

TEST_CASE(
    "a strict rp_filter takes what the way back to the source leads by, a loose one any way") {
  for (const std::uint8_t filter : Octets{0, 1, 2}) {
    const Host on = set_up_router(with_rp_filter(filter));
    CHECK(comes_in(on, sent_to("10.0.0.9", "lan")));
    CHECK(comes_in(on, sent_to("203.0.113.9", "wan")));
    CHECK_EQ(comes_in(on, sent_to("203.0.113.9", "lan")), filter != 1);
    CHECK_EQ(comes_in(on, sent_to("198.18.0.9", "wan")), filter == 0);
    CHECK_EQ(comes_in(on, sent_to("203.0.113.9", "dmz")), filter == 0);  // it has no address
    // The limited broadcast and groups are asked, too; 0.0.0.0 is not.
    CHECK_EQ(comes_in(on, sent_to("203.0.113.9", "lan", "255.255.255.255")), filter != 1);
    CHECK_EQ(comes_in(on, sent_to("203.0.113.9", "lan", "224.0.0.1")), filter != 1);
    CHECK(comes_in(on, sent_to("0.0.0.0", "lan", "255.255.255.255")));
  }
}

TEST_CASE("the answer says which setting decided") {
  const Journey journey = way_into(set_up_router(with_rp_filter(1)), sent_to("203.0.113.9", "lan"));
  REQUIRE_EQ(journey.hooks.size(), 2);
  CHECK_EQ(journey.hooks.back().reason,
           "rp_filter of lan (strict): the way back to the source leads by another device");
}

TEST_CASE("an address of the host itself is taken with accept_local alone") {
  StackSettings settings;
  CHECK_FALSE(comes_in(set_up_router(settings), sent_to("192.0.2.1", "lan")));
  settings.accept_local = true;
  CHECK(comes_in(set_up_router(settings), sent_to("192.0.2.1", "lan")));
  settings.rp_filter = 1;
  CHECK_FALSE(comes_in(set_up_router(settings), sent_to("192.0.2.1", "lan")));
  CHECK(comes_in(set_up_router(settings), sent_to("192.0.2.1", "wan")));
}

TEST_CASE("a broadcast address is no source where the kernel looks it up") {
  StackSettings settings;
  settings.forwards_ipv4 = true;
  CHECK(comes_in(set_up_router(settings), sent_to("10.0.0.255", "lan")));
  CHECK_FALSE(comes_in(set_up_router(with_rp_filter(2)), sent_to("10.0.0.255", "lan")));
  Host added = set_up_router(settings);
  added.has_added_local_routes = true;
  CHECK_FALSE(comes_in(added, sent_to("10.0.0.255", "lan")));
  // Sent back by the device that it came by.
  CHECK_FALSE(comes_in(set_up_router(settings), sent_to("10.0.0.255", "lan", "10.0.0.7")));
  settings.send_redirects = false;
  CHECK(comes_in(set_up_router(settings), sent_to("10.0.0.255", "lan", "10.0.0.7")));
}

TEST_CASE("with route_localnet the loopback network is reached from outside") {
  StackSettings settings;
  CHECK_FALSE(comes_in(set_up_router(settings), sent_to("10.0.0.9", "lan", "127.0.0.1")));
  settings.route_localnet = true;
  CHECK(comes_in(set_up_router(settings), sent_to("10.0.0.9", "lan", "127.0.0.1")));
  CHECK(comes_in(set_up_router(settings), sent_to("127.0.0.9", "lan")));
  CHECK_FALSE(comes_in(set_up_router(settings), sent_to("127.0.0.1", "lan")));
}

TEST_CASE("IPv4 is passed on by the settings of the device that it came by") {
  Host on = set_up_router({});
  on.forwards_ipv4 = true;
  CHECK_FALSE(comes_in(on, sent_to("10.0.0.9", "lan", "203.0.113.9")));
  on.interfaces[1].settings->forwards_ipv4 = true;
  CHECK(comes_in(on, sent_to("10.0.0.9", "lan", "203.0.113.9")));
  CHECK_FALSE(comes_in(on, sent_to("203.0.113.9", "wan", "10.0.0.9")));
}

TEST_CASE("a device without IPv6 takes none, before the first hook") {
  StackSettings settings;
  CHECK(comes_in(set_up_router(settings, false), sent_to("2001:db8::9", "lan", "2001:db8::1")));
  settings.ipv6 = false;
  const Journey journey =
      way_into(set_up_router(settings, false), sent_to("2001:db8::9", "lan", "2001:db8::1"));
  REQUIRE_EQ(journey.hooks.size(), 1);
  CHECK(journey.hooks.front().hook == Hook::Prerouting);
  CHECK_EQ(journey.fate(), Fate::Stack);
}

TEST_CASE("what is not known is taken as a kernel begins, and told where it matters") {
  Host on = set_up_router({});
  for (Interface& interface : on.interfaces) interface.settings.reset();
  CHECK(way_into(on, sent_to("10.0.0.9", "lan")).assumed.empty());
  const Journey strange = way_into(on, sent_to("203.0.113.9", "lan"));
  CHECK_EQ(strange.fate(), Fate::Accept);
  REQUIRE_EQ(strange.assumed.size(), 1);
  CHECK_EQ(strange.assumed.front(), "rp_filter 0 on lan");
  const Journey own = way_into(on, sent_to("192.0.2.1", "lan"));
  CHECK_EQ(own.fate(), Fate::Stack);
  REQUIRE_EQ(own.assumed.size(), 1);
  CHECK_EQ(own.assumed.front(), "accept_local 0 on lan");
  // Without routes, what is behind the devices says where a source belongs.
  on.routes.reset();
  on.interfaces[1].behind = net::AddressSet::from({prefix("10.0.0.0/24")});
  CHECK(way_into(on, sent_to("10.0.0.9", "lan")).assumed.empty());
  CHECK_EQ(way_into(on, sent_to("10.0.0.9", "wan")).assumed.size(), 1);
}

TEST_CASE("with rules of ip rule a filter is conditional") {
  Host on = set_up_router(with_rp_filter(1), false);
  on.has_routing_rules = true;
  static const Ruleset kNone;
  Evaluator evaluator(kNone, on);
  const Outcomes outcomes = evaluator.outcomes(sent_to("10.0.0.9", "lan"), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Stack);
}

TEST_CASE("packets on a device of a VRF are not modelled") {
  Host on = set_up_router({});
  on.interfaces[1].master = "red";
  Interface& red = on.interfaces.emplace_back();
  red.name = red.device = "red";
  red.kind = "vrf";
  const Journey journey = way_into(on, sent_to("10.0.0.9", "lan"));
  CHECK_EQ(journey.fate(), Fate::Undecided);
  CHECK_EQ(journey.hooks.back().reason, "the VRF red, which is not modelled");
  CHECK(comes_in(on, sent_to("203.0.113.9", "wan")));
}

}  // namespace
}  // namespace rolewall::eval
