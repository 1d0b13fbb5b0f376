#include "compile/traffic.h"

#include <doctest/doctest.h>

#include <string>

namespace rolewall::compile {
namespace {

Traffic ports(std::uint8_t protocol, std::uint16_t first, std::uint16_t last,
              std::uint16_t source_first = 0, std::uint16_t source_last = 65535) {
  return {protocol, {}, {first, last}, {source_first, source_last}};
}

bool holds(const Traffic& box, const Traffic& packet) {
  return box.protocol == packet.protocol && (box.families & packet.families) == packet.families &&
         box.destination.contains(packet.destination.first) &&
         box.source.contains(packet.source.first);
}

TEST_CASE("disjoint boxes hold the same packets, each in one box") {
  std::uint32_t seed = 7;
  const auto next = [&seed](std::uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return static_cast<std::uint16_t>((seed >> 16) % below);
  };
  for (int round = 0; round < 500; ++round) {
    std::vector<Traffic> boxes;
    for (int i = 0; i < 4; ++i) {
      const std::uint16_t first = next(6);
      const std::uint16_t from = next(6);
      Traffic box = ports(next(2) == 0 ? net::protocol::kTcp : net::protocol::kUdp, first,
                          static_cast<std::uint16_t>(first + next(4)), from,
                          static_cast<std::uint16_t>(from + next(4)));
      if (next(3) == 0) box.families = {next(2) == 0, true};
      boxes.push_back(box);
    }
    const auto cut = disjoint(boxes);
    for (const std::uint8_t protocol : {net::protocol::kTcp, net::protocol::kUdp}) {
      for (std::uint16_t port = 0; port < 10; ++port) {
        for (std::uint16_t source = 0; source < 10; ++source) {
          for (const bool v4 : {true, false}) {
            const Traffic packet{protocol, {v4, !v4}, {port, port}, {source, source}};
            int before = 0;
            int after = 0;
            for (const Traffic& box : boxes) before += holds(box, packet);
            for (const Traffic& box : cut) after += holds(box, packet);
            REQUIRE(after == (before > 0 ? 1 : 0));
          }
        }
      }
    }
  }
}

TEST_CASE("icmp is IPv4's and icmpv6 IPv6's; the bare number is both's") {
  policy::ServiceLiteral literal;
  literal.protocol = net::protocol::kIcmp;
  literal.icmp_type = 8;
  literal.text = "icmp/echo-request";
  CHECK(traffic_of(literal) == Traffic{1, {true, false}, {8, 8}, {}});
  literal.protocol = net::protocol::kIcmpv6;
  literal.icmp_type = std::nullopt;
  literal.text = "icmpv6";
  CHECK(traffic_of(literal) == Traffic{58, {false, true}, {0, 255}, {}});
  literal.text = "protocol/58";
  CHECK(traffic_of(literal) == Traffic{58, {true, true}, {0, 255}, {}});
  // And a rule that says both asks for IPv4's once.
  const auto both = disjoint({Traffic{1, {true, false}, {8, 8}, {}}, Traffic{1, {}, {0, 255}, {}}});
  CHECK_EQ(both.size(), 4);  // type 8 of IPv4; of IPv6 every type; of IPv4 0-7 and 9-255
}

}  // namespace
}  // namespace rolewall::compile
