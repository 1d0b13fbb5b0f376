#include "sandbox/packet_log.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "sandbox/request.h"

namespace rolewall::sandbox {
namespace {

constexpr std::size_t kBufferSize = 1 << 17;  // a packet of 65,535 bytes and what is beside it
constexpr std::uint32_t kWholePacket = 0xffff;

Result<void> configure(int socket, std::uint16_t group) {
  Request bind(NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG, AF_UNSPEC, group);
  const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
  bind.put(NFULA_CFG_CMD, &command, sizeof command);
  TRY(bind.send(socket, "bind a log group"));

  Request mode(NFNL_SUBSYS_ULOG, NFULNL_MSG_CONFIG, AF_UNSPEC, group);
  nfulnl_msg_config_mode copy{};
  copy.copy_range = htonl(kWholePacket);
  copy.copy_mode = NFULNL_COPY_PACKET;
  mode.put(NFULA_CFG_MODE, &copy, sizeof copy);
  return mode.send(socket, "ask for whole packets");
}

void take_payload(const nlmsghdr* header, std::vector<std::vector<std::uint8_t>>& packets) {
  const std::size_t fixed = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(nfgenmsg));
  if (header->nlmsg_len < fixed) return;
  auto left = static_cast<int>(header->nlmsg_len - fixed);
  const auto* attr =
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(header, sizeof(nfgenmsg)));
  for (; mnl_attr_ok(attr, left); attr = mnl_attr_next(attr)) {
    if (mnl_attr_get_type(attr) == NFULA_PAYLOAD) {
      const auto* begin = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attr));
      packets.emplace_back(begin, begin + mnl_attr_get_payload_len(attr));
    }
    left -= MNL_ALIGN(attr->nla_len);
  }
}

}  // namespace

PacketLog::PacketLog(Descriptor socket) : socket_(std::move(socket)), buffer_(kBufferSize) {}

Result<PacketLog> PacketLog::open(std::uint16_t group) {
  auto socket = netfilter_socket();
  if (!socket) return std::unexpected(socket.error());
  TRY(configure(socket->get(), group));
  return PacketLog(std::move(*socket));
}

Result<void> PacketLog::read(std::vector<std::vector<std::uint8_t>>& packets) {
  while (true) {
    const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return {};
    if (size < 0 && errno == ENOBUFS) {
      return fail(ErrorKind::Conflict, "the kernel's log came faster than it was read", ENOBUFS);
    }
    if (size < 0) return fail(ErrorKind::System, "read the log of packets", errno);
    auto left = static_cast<int>(size);
    const auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data());
    for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_type == ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)) {
        take_payload(header, packets);
      }
    }
  }
}

}  // namespace rolewall::sandbox
