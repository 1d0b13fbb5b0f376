#include "eval/build.h"

#include <doctest/doctest.h>

#include "eval/checksum.h"
#include "eval/conntrack.h"
#include "eval/wire.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

TEST_CASE("an IPv4 packet has right lengths and checksums") {
  const Packet packet = build(fields(6, 22));
  CHECK_EQ(packet.ether_type, kEtherTypeIpv4);
  REQUIRE_EQ(packet.bytes.size(), 64);
  const ByteSpan bytes = packet.bytes;
  CHECK_EQ(bytes[0], 0x45);
  CHECK_EQ(be16(bytes.data() + 2), 64);
  CHECK_EQ(bytes[8], 64);
  CHECK_EQ(bytes[9], 6);
  CHECK_EQ(internet_checksum(bytes.first(20)), 0);
  CHECK_EQ(be16(bytes.data() + 20), 40000);
  CHECK_EQ(be16(bytes.data() + 22), 22);
  CHECK_EQ(bytes[33], 0x02);
  CHECK_EQ(transport_checksum(bytes.subspan(12, 4), bytes.subspan(16, 4), 6, bytes.subspan(20)), 0);
}

TEST_CASE("what conntrack accepts as a first packet is what was built") {
  const auto tracked = [](const PacketFields& fields) {
    const Packet packet = build(fields);
    return track_first_packet(packet.bytes, packet.ether_type == kEtherTypeIpv6, Checksums::Verify)
        .tracking;
  };
  for (const std::uint8_t protocol : Octets{6, 17, 132, 47, 50, 112}) {
    CHECK(tracked(fields(protocol)) == Tracking::Entry);
    CHECK(tracked(fields6(protocol)) == Tracking::Entry);
  }
  CHECK(tracked(fields(1)) == Tracking::Entry);
  CHECK(tracked(fields6(58)) == Tracking::Entry);
  for (const std::uint8_t type : Octets{130, 131, 132, 133, 134, 135, 136, 143}) {
    PacketFields discovery = fields6(58);
    discovery.icmp_type = type;
    CHECK(tracked(discovery) == Tracking::Untracked);
  }
  for (const std::uint8_t protocol : Octets{1, 6, 17, 132}) {
    PacketFields bad = fields(protocol);
    bad.bad_checksum = true;
    CHECK(tracked(bad) == Tracking::None);
    bad = fields6(protocol == 1 ? 58 : protocol);
    bad.bad_checksum = true;
    CHECK(tracked(bad) == Tracking::None);
  }
}

TEST_CASE("an SCTP packet of any length is one INIT chunk") {
  for (std::uint32_t length = 0; length < 100; ++length) {
    PacketFields sctp = fields(132);
    sctp.length = length;
    const Packet packet = build(sctp);
    CHECK(track_first_packet(packet.bytes, false, Checksums::Verify).tracking == Tracking::Entry);
  }
}

TEST_CASE("an ICMP error quotes a datagram") {
  PacketFields error = fields(1);
  error.icmp_type = 3;
  error.length = 0;
  const Packet packet = build(error);
  REQUIRE_EQ(packet.bytes.size(), 20 + 8 + 28);
  CHECK_EQ(packet.bytes[28], 0x45);
  CHECK_EQ(internet_checksum(ByteSpan(packet.bytes).subspan(20)), 0);
}

TEST_CASE("a packet is cut with its length adjusted") {
  PacketFields cut = fields(6);
  cut.truncate_transport_to = 3;
  const Packet ipv4 = build(cut);
  CHECK_EQ(ipv4.bytes.size(), 23);
  CHECK_EQ(be16(ipv4.bytes.data() + 2), 23);
  CHECK_EQ(internet_checksum(ByteSpan(ipv4.bytes).first(20)), 0);
  cut = fields6(6);
  cut.truncate_transport_to = 0;
  const Packet ipv6 = build(cut);
  CHECK_EQ(ipv6.bytes.size(), 40);
  CHECK_EQ(be16(ipv6.bytes.data() + 4), 0);
}

TEST_CASE("fragments carry offset and flag; all but the last are multiples of eight") {
  PacketFields fragment = fields(17, 53);
  fragment.length = 61;
  fragment.more_fragments = true;
  const Packet first = build(fragment);
  CHECK_EQ((first.bytes.size() - 20) % 8, 0);
  CHECK_EQ(be16(first.bytes.data() + 6), 0x2000);
  fragment.fragment_offset = 1480;
  fragment.more_fragments = false;
  CHECK_EQ(be16(build(fragment).bytes.data() + 6), 185);

  fragment = fields6(17, 53);
  fragment.fragment_offset = 1480;
  fragment.more_fragments = true;
  const Packet ipv6 = build(fragment);
  CHECK_EQ(ipv6.bytes[6], 44);
  CHECK_EQ(ipv6.bytes[40], 17);
  CHECK_EQ(be16(ipv6.bytes.data() + 42), 1480 | 1);
  CHECK_EQ(be16(ipv6.bytes.data() + 4) + 40U, ipv6.bytes.size());
}

}  // namespace
}  // namespace rolewall::eval
