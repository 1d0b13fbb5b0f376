// What the kernel tells to a log group, as bytes that it would send.
#include "observe/packet_log.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

#include <cstdint>
#include <vector>

#include "netlink/attributes.h"

namespace rolewall::observe {
namespace {

constexpr std::uint16_t kPacket = netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET);

const std::vector<std::uint8_t> kBytes{0x45, 0, 0, 20};

LoggedPacket logged(const std::vector<std::uint8_t>& attributes, std::uint16_t type = kPacket) {
  return decode_logged({.type = type, .family = 2, .resource_id = 0, .attributes = attributes});
}

TEST_CASE("a packet, byte for byte, and what lies around it") {
  std::vector<std::uint8_t> attributes;
  netlink::Writer writer(attributes);
  writer.put(NFULA_PACKET_HDR, kBytes);
  writer.be32(NFULA_MARK, 1);
  writer.be32(NFULA_IFINDEX_INDEV, 2);
  writer.text(NFULA_PREFIX, "prefix");
  writer.put(NFULA_PAYLOAD, kBytes);
  writer.be32(NFULA_SEQ, 7);
  const LoggedPacket packet = logged(attributes);
  CHECK_EQ(packet.problem, "");
  CHECK_EQ(packet.bytes, kBytes);
}

TEST_CASE("what nobody asked for, is missing or is no packet is named") {
  std::vector<std::uint8_t> attributes;
  netlink::Writer writer(attributes);
  CHECK_EQ(logged(attributes).problem, "attribute 9 is missing");
  writer.put(NFULA_PAYLOAD, kBytes);
  CHECK_EQ(logged(attributes).problem, "");
  CHECK_EQ(logged(attributes, kPacket + 1).problem, "message type 0x401 is not a packet");
  writer.be32(NFULA_CT_INFO, 1);  // conntrack's, which nobody asked the kernel for
  const LoggedPacket packet = logged(attributes);
  CHECK_EQ(packet.problem, "attribute 19 is unknown");
  CHECK_EQ(packet.bytes, kBytes);
  attributes.pop_back();
  CHECK_EQ(logged(attributes).problem, "its attributes are cut short");
}

}  // namespace
}  // namespace rolewall::observe
