#include "eval/conntrack.h"

#include <doctest/doctest.h>

#include <functional>

#include "eval/checksum.h"
#include "eval/wire.h"
#include "rules.h"

namespace rolewall::eval {
namespace {

using Bytes = std::vector<std::uint8_t>;

Tracking track(const Packet& packet, Checksums checksums = Checksums::Verify) {
  return track_first_packet(packet.bytes, packet.ether_type == kEtherTypeIpv6, checksums).tracking;
}

// Changes the transport part of a built packet and puts its checksum right again.
Packet changed(const PacketFields& from, const std::function<void(Bytes&)>& change) {
  Packet packet = build(from);
  Bytes transport(packet.bytes.begin() + 20, packet.bytes.end());
  change(transport);
  packet.bytes.resize(20);
  packet.bytes.insert(packet.bytes.end(), transport.begin(), transport.end());
  put_be16(packet.bytes.data() + 2, static_cast<std::uint32_t>(packet.bytes.size()));
  std::uint8_t* at = packet.bytes.data() + 20;
  const ByteSpan all = packet.bytes;
  switch (from.protocol) {
    case 6:
      put_be16(at + 16, 0);
      put_be16(at + 16,
               transport_checksum(all.subspan(12, 4), all.subspan(16, 4), 6, all.subspan(20)));
      break;
    case 132:
      put_be32(at + 8, sctp_checksum(all.subspan(20)));
      break;
    default:
      break;
  }
  return packet;
}

TEST_CASE("TCP flags that begin a flow, and those that do not") {
  for (const std::uint8_t flags : Octets{0x02, 0x22, 0x10, 0x30, 0xc2, 0x18, 0xd0}) {
    PacketFields tcp = fields(6);
    tcp.tcp_flags = flags;
    CHECK_MESSAGE(track(build(tcp)) == Tracking::Entry, int{flags});
  }
  for (const std::uint8_t flags : Octets{0x00, 0x01, 0x03, 0x04, 0x06, 0x08, 0x11, 0x12, 0x14, 0x20,
                                         0x29, 0x31, 0x32, 0x3f, 0xff}) {
    PacketFields tcp = fields(6);
    tcp.tcp_flags = flags;
    CHECK_MESSAGE(track(build(tcp)) == Tracking::None, int{flags});
  }
}

TEST_CASE("headers that are cut off or lie about their length have no flow") {
  for (const std::uint8_t protocol : Octets{1, 6, 17, 132, 136}) {
    const std::uint32_t needed = protocol == 6 ? 20 : protocol == 132 ? 32 : 8;
    for (std::uint32_t size = 0; size < needed; ++size) {
      PacketFields cut = fields(protocol);
      cut.truncate_transport_to = size;
      CHECK(track(build(cut), Checksums::Trust) == Tracking::None);
    }
  }
  CHECK(track(changed(fields(6), [](Bytes& tcp) { tcp[12] = 4 << 4; })) == Tracking::None);
  CHECK(track(changed(fields(6), [](Bytes& tcp) { tcp[12] = 15 << 4; })) == Tracking::None);
  CHECK(track(changed(fields(6), [](Bytes& tcp) { tcp[12] = 6 << 4; })) == Tracking::Entry);
}

TEST_CASE("UDP may go without a checksum, but not with a wrong length") {
  const auto with_length = [](std::uint32_t length) {
    return changed(fields(17), [length](Bytes& udp) {
      put_be16(udp.data() + 4, length);
      put_be16(udp.data() + 6, 0);
    });
  };
  CHECK(track(with_length(44)) == Tracking::Entry);
  CHECK(track(with_length(8)) == Tracking::Entry);
  CHECK(track(with_length(7)) == Tracking::None);
  CHECK(track(with_length(45)) == Tracking::None);
}

TEST_CASE("only questions begin an ICMP flow") {
  for (unsigned type = 0; type < 256; ++type) {
    PacketFields icmp = fields(1);
    icmp.icmp_type = static_cast<std::uint8_t>(type);
    const bool begins = type == 8 || type == 13 || type == 15 || type == 17;
    CHECK_MESSAGE(track(build(icmp)) == (begins ? Tracking::Entry : Tracking::None), type);

    icmp = fields6(58);
    icmp.icmp_type = static_cast<std::uint8_t>(type);
    const bool untracked =
        (type >= 130 && type <= 136) || type == 143 || type == 151 || type == 152;
    const Tracking expected = type == 128 || type == 139 ? Tracking::Entry
                              : untracked                ? Tracking::Untracked
                                                         : Tracking::None;
    CHECK_MESSAGE(track(build(icmp)) == expected, type);
  }
  CHECK(track(build(fields(58))) == Tracking::None);
  PacketFields wrong_family = fields6(1);
  CHECK(track(build(wrong_family)) == Tracking::None);
}

TEST_CASE("checksums are looked at on arrival alone") {
  PacketFields bad = fields(6);
  bad.bad_checksum = true;
  CHECK(track(build(bad), Checksums::Verify) == Tracking::None);
  CHECK(track(build(bad), Checksums::Trust) == Tracking::Entry);
}

TEST_CASE("SCTP chunks that may begin an association") {
  const auto chunk = [](std::uint8_t type, std::uint32_t tag) {
    return changed(fields(132), [=](Bytes& sctp) {
      sctp.resize(32);
      put_be32(sctp.data() + 4, tag);
      sctp[12] = type;
      put_be16(sctp.data() + 14, 20);
    });
  };
  CHECK(track(chunk(1, 0)) == Tracking::Entry);   // INIT
  CHECK(track(chunk(1, 7)) == Tracking::None);    // with a tag
  CHECK(track(chunk(4, 7)) == Tracking::Entry);   // HEARTBEAT
  CHECK(track(chunk(8, 7)) == Tracking::Entry);   // SHUTDOWN ACK
  CHECK(track(chunk(0, 0)) == Tracking::None);    // DATA
  CHECK(track(chunk(6, 0)) == Tracking::None);    // ABORT
  CHECK(track(chunk(10, 0)) == Tracking::Entry);  // COOKIE ECHO
  CHECK(track(chunk(10, 7)) == Tracking::None);
  CHECK(track(chunk(11, 0)) == Tracking::None);  // COOKIE ACK
  CHECK(track(changed(fields(132), [](Bytes& sctp) { sctp.resize(12); })) == Tracking::None);
  // INIT stands alone, and no chunk is empty.
  CHECK(track(changed(fields(132), [](Bytes& sctp) {
          sctp.resize(36);
          put_be16(sctp.data() + 14, 20);
          sctp[32] = 4;
          put_be16(sctp.data() + 34, 4);
        })) == Tracking::None);
  CHECK(track(changed(fields(132), [](Bytes& sctp) { put_be16(sctp.data() + 14, 0); })) ==
        Tracking::None);
}

TEST_CASE("PPTP's GRE must carry PPP; other GRE and unknown protocols are tracked by address") {
  const auto gre = [](std::uint16_t flags, std::uint16_t protocol) {
    return changed(fields(47), [=](Bytes& bytes) {
      put_be16(bytes.data(), flags);
      put_be16(bytes.data() + 2, protocol);
    });
  };
  CHECK(track(gre(0, 0x0800)) == Tracking::Entry);
  CHECK(track(gre(1, 0x880b)) == Tracking::Entry);
  CHECK(track(gre(1, 0x0800)) == Tracking::None);
}

TEST_CASE("the reply's tuple has ends and ICMP types exchanged") {
  Tuple tuple;
  const Packet tcp = build(fields(6, 22));
  REQUIRE(tuple_of(tcp.bytes, false, tuple));
  const Tuple reply = invert(tuple);
  CHECK(reply.source == tuple.destination);
  CHECK(reply.source_port == tuple.destination_port);
  CHECK(invert(reply) == tuple);
  REQUIRE(tuple_of(build(fields(1)).bytes, false, tuple));
  CHECK_EQ(invert(tuple).destination_port[0], 0);
  CHECK(invert(tuple).source_port == tuple.source_port);
}

}  // namespace
}  // namespace rolewall::eval
