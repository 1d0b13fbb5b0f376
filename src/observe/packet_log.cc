#include "observe/packet_log.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include <utility>

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

void take_payload(netlink::View attributes, std::vector<std::vector<std::uint8_t>>& packets) {
  netlink::for_each_attribute(attributes, [&](std::uint16_t type, netlink::View payload) {
    if (type == NFULA_PAYLOAD) packets.emplace_back(payload.begin(), payload.end());
  });
}

}  // namespace

Result<PacketLog> PacketLog::open(std::uint16_t group) {
  auto socket = netlink::EventSocket::open({.datagram = kBufferSize});
  if (!socket) return std::unexpected(std::move(socket).error());
  TRY(bind(*socket, group));
  return PacketLog(std::move(*socket));
}

Result<void> PacketLog::read(std::vector<std::vector<std::uint8_t>>& packets) {
  return socket_.read(0, [&](const netlink::Answer& answer) {
    if (answer.type == netlink::nfnetlink_type(NFNL_SUBSYS_ULOG, NFULNL_MSG_PACKET)) {
      take_payload(answer.attributes, packets);
    }
  });
}

}  // namespace rolewall::observe
