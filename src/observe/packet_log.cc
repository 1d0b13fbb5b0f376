#include "observe/packet_log.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "netlink/attributes.h"

namespace rolewall::observe {
namespace {

constexpr std::size_t kBufferSize = 1 << 17;  // a packet of 65,535 bytes and what is beside it
constexpr std::uint32_t kWholePacket = 0xffff;

Result<void> configure(netlink::EventSocket& socket, std::uint16_t group, std::uint16_t attribute,
                       netlink::View value, const char* what) {
  std::vector<std::uint8_t> request;
  netlink::Writer writer(request);
  const std::size_t begin = writer.begin_message(
      netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG), NLM_F_ACK, AF_UNSPEC, group);
  writer.put(attribute, value);
  writer.end_message(begin);
  return socket.ask(request, what);
}

template <class Struct>
netlink::View bytes_of(const Struct& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

Result<void> bind(netlink::EventSocket& socket, std::uint16_t group) {
  const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
  TRY(configure(socket, group, NFULA_CFG_CMD, bytes_of(command), "cannot bind a log group"));
  nfulnl_msg_config_mode mode{};
  mode.copy_range = htonl(kWholePacket);
  mode.copy_mode = NFULNL_COPY_PACKET;
  return configure(socket, group, NFULA_CFG_MODE, bytes_of(mode), "cannot ask for whole packets");
}

// What else a message bears: the packet's mark, time, devices, link and owner, the rule's prefix
// and the message's number.
constexpr auto kOfNoInterest = std::to_array<std::uint16_t>(
    {NFULA_PACKET_HDR, NFULA_MARK, NFULA_TIMESTAMP, NFULA_IFINDEX_INDEV, NFULA_IFINDEX_OUTDEV,
     NFULA_IFINDEX_PHYSINDEV, NFULA_IFINDEX_PHYSOUTDEV, NFULA_HWADDR, NFULA_PREFIX, NFULA_UID,
     NFULA_SEQ, NFULA_SEQ_GLOBAL, NFULA_GID, NFULA_HWTYPE, NFULA_HWHEADER, NFULA_HWLEN, NFULA_VLAN,
     NFULA_L2HDR});

}  // namespace

LoggedPacket decode_logged(const netlink::Answer& message) {
  netlink::Attributes attributes(message.attributes);
  if (message.type != netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET)) {
    attributes.problem(fmt::format("message type {:#x} is not a packet", message.type));
  }
  const netlink::View payload = attributes.bytes(NFULA_PAYLOAD);
  for (const std::uint16_t type : kOfNoInterest) attributes.ignore(type);
  return {.bytes = {payload.begin(), payload.end()}, .problem = attributes.finish()};
}

Result<PacketLog> PacketLog::open(std::uint16_t group) {
  auto socket = netlink::EventSocket::open({.datagram = kBufferSize});
  if (!socket) return std::unexpected(std::move(socket).error());
  TRY(bind(*socket, group));
  return PacketLog(std::move(*socket));
}

Result<void> PacketLog::read(std::vector<LoggedPacket>& packets) {
  return socket_.read(
      0, [&](const netlink::Answer& message) { packets.push_back(decode_logged(message)); });
}

}  // namespace rolewall::observe
