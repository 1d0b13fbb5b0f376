// What is sent to a multicast group comes to input where the host has joined it.
#include "eval/groups.h"

#include <doctest/doctest.h>

#include "eval/eval.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using ruleset::Hook;
using ruleset::Host;
using ruleset::Ruleset;

// Accepts all, and remembers nothing.
Ruleset open_input() {
  return input_rules({rule({accept()})});
}

Journey arrive(const Host& on, const char* group, const char* device = "eth0",
               std::uint8_t protocol = 17) {
  const bool ipv6 = std::string_view(group).find(':') != std::string_view::npos;
  PacketFields made = ipv6 ? fields6(protocol, 53) : fields(protocol, 53);
  made.destination = address(group);
  Packet packet = arriving(made, device);
  packet.type = PacketType::Multicast;
  const Ruleset rules = open_input();
  Evaluator evaluator(rules, on);
  return evaluator.arrive(packet);
}

Host member_of(std::vector<ruleset::JoinedGroup> groups) {
  Host on = host();
  on.joined_groups = std::move(groups);
  return on;
}

TEST_CASE("a group is joined by device, and what is not joined never comes to input") {
  const Host on = member_of({{"eth0", address("239.1.1.1")}, {"eth1", address("ff15::1")}});
  CHECK(arrive(on, "239.1.1.1").fate() == Fate::Accept);
  CHECK(arrive(on, "ff15::1", "eth1").fate() == Fate::Accept);
  const std::pair<const char*, const char*> others[] = {
      {"239.1.1.1", "eth1"}, {"239.1.1.2", "eth0"}, {"ff15::1", "eth0"}, {"224.0.0.22", "eth0"}};
  for (const auto& [group, device] : others) {
    const Journey journey = arrive(on, group, device);
    CHECK(journey.fate() == Fate::Stack);
    CHECK(journey.hooks.back().hook == Hook::Input);
    CHECK(journey.hooks.back().reason == kGroupNotJoined);
    CHECK_FALSE(journey.takes_group_as_joined);
  }
}

TEST_CASE("rules before the route see what goes to any group") {
  const Host on = member_of({});
  const Ruleset rules = one_table({base_chain({rule({drop()})}, Hook::Prerouting)});
  Evaluator evaluator(rules, on);
  PacketFields made = fields(17, 53);
  made.destination = address("239.1.1.1");
  const Journey journey = evaluator.arrive(arriving(made));
  CHECK(journey.fate() == Fate::Drop);
  CHECK(journey.hooks.back().hook == Hook::Prerouting);
}

TEST_CASE("where groups are not known one is taken as joined, but for the kernel's own") {
  Host on = host();
  CHECK(arrive(on, "239.1.1.1").fate() == Fate::Accept);
  CHECK(arrive(on, "239.1.1.1").takes_group_as_joined);
  CHECK(arrive(on, "ff02::2").takes_group_as_joined);
  for (const char* own : {"224.0.0.1", "ff02::1", "ff02::1:ff00:1"}) {
    CHECK(arrive(on, own).fate() == Fate::Accept);
    CHECK_FALSE(arrive(on, own).takes_group_as_joined);
  }
  CHECK(arrive(on, "ff02::1:ff00:2").takes_group_as_joined);
  CHECK(arrive(on, "10.0.0.1").fate() == Fate::Accept);
  CHECK_FALSE(arrive(on, "10.0.0.1").takes_group_as_joined);
  on.forwards_ipv6 = true;
  CHECK_FALSE(arrive(on, "ff02::2").takes_group_as_joined);
  CHECK_FALSE(arrive(on, "ff05::2").takes_group_as_joined);
}

TEST_CASE("the groups by which neighbours ask are those of each address, and of a pool's") {
  Host on = host();
  on.addresses = {prefix("fd00::ab:cdef"), prefix("fd01::7:0/112")};
  CHECK(is_joined_by_kernel(address("ff02::1:ffab:cdef"), on));
  CHECK_FALSE(is_joined_by_kernel(address("ff02::1:ffab:cdee"), on));
  CHECK(is_joined_by_kernel(address("ff02::1:ff07:1234"), on));
  CHECK_FALSE(is_joined_by_kernel(address("ff02::1:ff08:1234"), on));
  CHECK_FALSE(is_joined_by_kernel(address("ff05::1"), on));
  CHECK_FALSE(is_joined_by_kernel(address("ff02::1:fe07:1234"), on));
}

TEST_CASE("a group that a program takes from some senders: either way, but IGMP comes in") {
  const Host on = member_of({{"eth0", address("232.1.1.1"), true}});
  const Ruleset rules = open_input();
  Evaluator evaluator(rules, on);
  PacketFields made = fields(17, 53);
  made.destination = address("232.1.1.1");
  const Outcomes outcomes = evaluator.outcomes(arriving(made), Direction::Arrive);
  REQUIRE(outcomes.ways.size() == 2);
  CHECK(outcomes.ways[0].fate() == Fate::Accept);
  CHECK(outcomes.ways[1].fate() == Fate::Stack);
  CHECK(arrive(on, "232.1.1.1", "eth0", 2).conditions.empty());
}

TEST_CASE("where a program routes multicast, what is not joined may be passed on") {
  Host on = member_of({});
  on.routes_groups_ipv4 = true;
  on.routes_groups_ipv6 = true;
  CHECK(arrive(on, "239.1.1.1").fate() == Fate::Undecided);
  CHECK(arrive(on, "ff05::5").fate() == Fate::Undecided);
  CHECK(arrive(on, "224.0.0.5").fate() == Fate::Stack);
  CHECK(arrive(on, "ff02::5").fate() == Fate::Stack);
}

}  // namespace
}  // namespace rolewall::eval
