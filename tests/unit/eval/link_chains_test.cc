// Chains below the device that a packet comes by: which device lies below which.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "rules.h"
#include "ruleset/hook_device.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Interface port_of(const char* device, const char* kind, const char* master = "",
                  const char* stands_on = "") {
  Interface made;
  made.name = made.device = device;
  made.kind = kind;
  made.master = master;
  made.link = stands_on;
  return made;
}

// A chain on a device's ingress that denies: whether the answer about a packet by br0.5 hangs on
// it.
bool hangs_on(const Host& on, const char* device) {
  Chain chain = base_chain({rule({drop()})}, Hook::Ingress, 0, VerdictCode::Accept);
  chain.base->devices = {device};
  const Ruleset rules = one_table({chain}, {}, Family::Netdev);
  PacketFields made = fields(17, 53);
  Packet packet = arriving(made);
  packet.in_device = "br0.5";
  return !Evaluator(rules, on).arrive(packet).conditions.empty();
}

TEST_CASE("what stands on what is known by the links, through several layers") {
  Host on = host();
  on.interfaces = {port_of("eth0", "", "bond0"),       port_of("eth1", "", "br1"),
                   port_of("bond0", "bond", "br0"),    port_of("br0", "bridge"),
                   port_of("br1", "bridge"),           port_of("eth2", ""),
                   port_of("br0.5", "vlan", "", "br0")};
  for (const char* below : {"br0", "bond0", "eth0", "eth*"}) CHECK(hangs_on(on, below));
  for (const char* elsewhere : {"eth1", "br1", "eth2"}) CHECK_FALSE(hangs_on(on, elsewhere));
}

// The kernel takes a plain name as it stands (nft_netdev_hook_alloc()); a beginning is another
// attribute of its.
TEST_CASE("a hook's device is a name, a beginning, or a name that ends in a star") {
  CHECK(is_hooked("eth0", "eth0"));
  CHECK_FALSE(is_hooked("eth0", "eth01"));
  CHECK(is_hooked(*hook_of_prefix("eth"), "eth01"));
  CHECK_FALSE(is_hooked(*hook_of_prefix("eth"), "wan"));
  CHECK_FALSE(is_hooked(hook_of_device("eth*"), "eth0"));
  CHECK(is_hooked(hook_of_device("eth*"), "eth*"));
  CHECK(is_hooked(hook_of_device("a\\*"), "a\\*"));
  CHECK_FALSE(is_hooked(hook_of_device("a\\*"), "a*"));
  CHECK_FALSE(hook_of_prefix("a\\").has_value());
}

TEST_CASE("where no link is known, a VLAN may stand on any device") {
  Host on = host();
  on.interfaces = {port_of("eth0", ""), port_of("br0", "bridge"), port_of("br0.5", "vlan")};
  for (const char* below : {"br0", "eth0"}) CHECK(hangs_on(on, below));
}

TEST_CASE("what a chain below may write into the packet is not known behind it") {
  Host on = host();
  on.interfaces = {port_of("br0", "bridge"), port_of("br0.5", "vlan", "", "br0")};
  Ruleset rules =
      one_table({base_chain({rule({Immediate{1, Value::host_u32(5)}, MetaSet{MetaKey::Mark, 1}})},
                            Hook::Prerouting, 0, VerdictCode::Accept)},
                {}, Family::Bridge);
  rules.tables.push_back(
      input_rules({rule({load_meta(MetaKey::Mark), is(Value::host_u32(5)), accept()})})
          .tables.front());
  Packet packet = arriving(fields(17, 53));
  packet.in_device = "br0.5";
  Evaluator evaluator(rules, on);
  CHECK_EQ(fates(evaluator.outcomes(packet, Direction::Arrive)), "drop drop undecided");
}

TEST_CASE("a VLAN on a bridge meets the bridge's own tables") {
  Host on = host();
  on.interfaces = {port_of("br0", "bridge"), port_of("br0.5", "vlan", "", "br0")};
  const Ruleset rules =
      one_table({base_chain({rule({drop()})}, Hook::Prerouting)}, {}, Family::Bridge);
  Packet packet = arriving(fields(17, 53));
  packet.in_device = "br0.5";
  CHECK_FALSE(Evaluator(rules, on).arrive(packet).conditions.empty());
  packet.in_device = "eth7";
  CHECK(Evaluator(rules, on).arrive(packet).conditions.empty());
}

// What a host on a bridge sends to another one there: its ways, by their fates.
std::string between_ports(std::optional<bool> shown, VerdictCode policy,
                          const char* device = "br0") {
  Host on = host();
  on.interfaces = {port_of("br0", "bridge"), port_of("br0.5", "vlan", "", "br0"),
                   port_of("eth2", "")};
  on.forwards_ipv4 = true;
  on.interfaces[0].shows_ipv4 = shown;
  const Ruleset rules = one_table({base_chain({}, Hook::Forward, 0, policy)});
  PacketFields made = fields(17, 53);
  made.destination = address("192.0.2.9");
  made.ttl = 1;  // a hop that routes it takes it off
  Packet packet = arriving(made);
  packet.in_device = packet.out_device = device;
  std::string fates;
  for (const Journey& way : Evaluator(rules, on).outcomes(packet, Direction::Arrive).ways) {
    fates += std::string(fates.empty() ? "" : " ") + std::string(name_of(way.fate()));
  }
  return fates;
}

TEST_CASE("what goes from host to host on a bridge is a frame between its ports, or routed") {
  CHECK_EQ(between_ports(false, VerdictCode::Drop), "stack accept");
  CHECK_EQ(between_ports(true, VerdictCode::Drop), "stack drop");
  CHECK_EQ(between_ports(true, VerdictCode::Accept), "stack accept");
  CHECK_EQ(between_ports(std::nullopt, VerdictCode::Drop), "stack accept drop");
  CHECK_EQ(between_ports(true, VerdictCode::Drop, "br0.5"), "stack accept drop");
  CHECK_EQ(between_ports(false, VerdictCode::Drop, "eth2"), "stack");
}

TEST_CASE("a bridge's own chains meet what passes between its ports") {
  Host on = host();
  on.interfaces = {port_of("br0", "bridge")};
  on.interfaces[0].shows_ipv4 = false;
  on.forwards_ipv4 = true;
  const Ruleset rules =
      one_table({base_chain({rule({drop()})}, Hook::Forward)}, {}, Family::Bridge);
  PacketFields made = fields(17, 53);
  made.destination = address("192.0.2.9");
  Packet packet = arriving(made);
  packet.in_device = packet.out_device = "br0";
  const Outcomes outcomes = Evaluator(rules, on).outcomes(packet, Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[2].fate(), Fate::Drop);
}

}  // namespace
}  // namespace rolewall::eval
