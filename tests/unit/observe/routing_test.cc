// Groups that programs have joined, as the kernel lists them.
#include "observe/routing.h"

#include <doctest/doctest.h>

#include <string>

#include "observe/groups.h"

namespace rolewall::observe {
namespace {

TEST_CASE("the groups of routing protocols and of VRRP are found by their devices") {
  const std::string igmp =
      "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
      "1\tlo        :     1      V3\n"
      "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
      "2\teth0      :     3      V3\n"
      "\t\t\t\t120000E0     1 0:00000000\t\t1\n"
      "\t\t\t\t050000E0     1 0:00000000\t\t1\n"
      "\t\t\t\t010000E0     1 0:00000000\t\t0\n"
      "3\teth1      :     1      V3\n"
      "\t\t\t\tnonsense\n";
  const std::string igmp6 =
      "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
      "3    eth1            ff020000000000000000000000010006     1 00000004 0\n"
      "3    eth1            ff02\n";
  const std::string filters =
      "Idx Device        MCA        SRC    INC    EXC\n"
      "  2   eth0 0xe0000005 0x0a000001      1      0\n";
  const auto groups = joined_groups(igmp, igmp6, filters);
  REQUIRE(groups.size() == 6);
  CHECK(groups[0] == ruleset::JoinedGroup{"lo", *net::parse_address("224.0.0.1")});
  CHECK(groups[2] == ruleset::JoinedGroup{"eth0", *net::parse_address("224.0.0.5"), true});
  CHECK(groups[4] == ruleset::JoinedGroup{"lo", *net::parse_address("ff02::1")});

  const auto found = spoken_on_links(groups);
  REQUIRE(found.size() == 3);
  CHECK(found[0].name == "VRRP");
  CHECK(found[0].device == "eth0");
  CHECK(found[0].is_of_address);
  CHECK(found[1].name == "OSPF");
  CHECK(found[1].protocol == 89);
  CHECK(found[2].name == "Babel");
  CHECK(found[2].device == "eth1");
  CHECK(found[2].port == 6696);
  CHECK(found[2].group == net::parse_address("ff02::1:6"));
  CHECK(joined_groups("", "", "").empty());
}

}  // namespace
}  // namespace rolewall::observe
