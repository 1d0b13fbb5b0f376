// What is larger than the device that it leaves by takes.
#include <doctest/doctest.h>

#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Host router_of_links() {
  Host on = host();
  on.forwards_ipv4 = true;
  on.forwards_ipv6 = true;
  on.interfaces.clear();
  for (const auto& [device, mtu] : {std::pair("wan", 1500U), std::pair("lan", 9000U)}) {
    Interface& interface = on.interfaces.emplace_back();
    interface.name = interface.device = device;
    interface.mtu = mtu;
  }
  on.routes.emplace();
  const auto add = [&](const char* to, const char* device, std::uint32_t mtu, bool locked) {
    Route& route = on.routes->emplace_back();
    route.to = prefix(to);
    route.device = device;
    route.mtu = mtu;
    route.mtu_locked = locked;
  };
  add("0.0.0.0/0", "wan", 0, false);
  add("198.51.100.0/24", "wan", 1400, false);
  add("::/0", "wan", 0, false);
  add("2001:db8:1::/48", "wan", 1400, false);
  add("2001:db8:2::/48", "wan", 1400, true);
  return on;
}

Packet sized(const char* to, std::uint32_t length, bool dont_fragment, std::uint8_t protocol = 17) {
  const bool ipv4 = net::is_ipv4(address(to));
  PacketFields made = ipv4 ? fields(protocol, 53) : fields6(protocol, 53);
  made.destination = address(to);
  made.length = length;
  made.dont_fragment = dont_fragment;
  Packet packet = arriving(made);
  packet.in_device = "lan";
  return packet;
}

Fate fate_by_size(const Host& on, const Packet& packet) {
  static const Ruleset kNone;
  return Evaluator(kNone, on).arrive(packet).fate();
}

TEST_CASE("what is too large and may not be fragmented is answered before forward") {
  const Host on = router_of_links();
  CHECK_EQ(fate_by_size(on, sized("203.0.113.9", 1500, true)), Fate::Accept);
  CHECK_EQ(fate_by_size(on, sized("203.0.113.9", 1501, true)), Fate::Stack);
  CHECK_EQ(fate_by_size(on, sized("203.0.113.9", 1501, false)), Fate::Accept);
  CHECK_EQ(fate_by_size(on, sized("2001:db8:9::9", 1500, false)), Fate::Accept);
  CHECK_EQ(fate_by_size(on, sized("2001:db8:9::9", 1501, false)), Fate::Stack);
}

TEST_CASE("IPv4 asks its route for an MTU, IPv6 for a locked one") {
  const Host on = router_of_links();
  CHECK_EQ(fate_by_size(on, sized("198.51.100.9", 1401, true)), Fate::Stack);
  CHECK_EQ(fate_by_size(on, sized("198.51.100.9", 1400, true)), Fate::Accept);
  CHECK_EQ(fate_by_size(on, sized("2001:db8:1::9", 1401, false)), Fate::Accept);
  CHECK_EQ(fate_by_size(on, sized("2001:db8:2::9", 1401, false)), Fate::Stack);
}

TEST_CASE("where no MTU is known, more than the usual is conditional") {
  Host on = router_of_links();
  for (Interface& interface : on.interfaces) interface.mtu = 0;
  static const Ruleset kNone;
  Evaluator evaluator(kNone, on);
  CHECK_EQ(evaluator.outcomes(sized("203.0.113.9", 1500, true), Direction::Arrive).ways.size(), 1);
  const Outcomes outcomes = evaluator.outcomes(sized("203.0.113.9", 2000, true), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Stack);
  CHECK_EQ(outcomes.ways[1].conditions.front().about, "the MTU of wan");
}

TEST_CASE("what a capture shows may be segments put together") {
  const Host on = router_of_links();
  Packet merged = sized("203.0.113.9", 4000, true, 6);
  merged.may_be_merged = true;
  static const Ruleset kNone;
  Evaluator evaluator(kNone, on);
  CHECK_EQ(evaluator.outcomes(merged, Direction::Arrive).ways.size(), 2);
  Host same = router_of_links();
  same.interfaces[1].mtu = 1500;
  CHECK_EQ(fate_by_size(same, merged), Fate::Accept);
}

TEST_CASE("a program is not allowed what may not be fragmented, but for TCP, which is cut") {
  const Host on = router_of_links();
  static const Ruleset kNone;
  const auto sent = [&](const Packet& packet) {
    Packet leaving = packet;
    leaving.in_device.clear();
    leaving.out_device = "wan";
    return Evaluator(kNone, on).send(leaving).fate();
  };
  CHECK_EQ(sent(sized("203.0.113.9", 1501, true)), Fate::Stack);
  CHECK_EQ(sent(sized("203.0.113.9", 1501, false)), Fate::Accept);
  CHECK_EQ(sent(sized("203.0.113.9", 1501, true, 6)), Fate::Accept);
}

}  // namespace
}  // namespace rolewall::eval
