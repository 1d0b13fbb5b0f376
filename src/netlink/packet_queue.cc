#include "netlink/packet_queue.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "netlink/message.h"

namespace rolewall::netlink {
namespace {

constexpr const char* kNoQueue = "cannot hold packets";

template <class Struct>
View bytes_of(const Struct& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

constexpr std::uint16_t queue_type(int message) {
  return nfnetlink_type(NFNL_SUBSYS_QUEUE, message);
}

// 0, or errno: EBUSY where another program has it.
int bind_to(mnl_socket* socket, std::uint16_t number) {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin =
      writer.begin_message(queue_type(NFQNL_MSG_CONFIG), NLM_F_ACK, AF_UNSPEC, number);
  nfqnl_msg_config_cmd command{};
  command.command = NFQNL_CFG_CMD_BIND;
  writer.put(NFQA_CFG_CMD, bytes_of(command));
  nfqnl_msg_config_params params{};
  params.copy_mode = NFQNL_COPY_META;
  writer.put(NFQA_CFG_PARAMS, bytes_of(params));
  // A large segment is not cut into packets.
  constexpr std::uint32_t kFlags = NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO;
  writer.be32(NFQA_CFG_FLAGS, kFlags);
  writer.be32(NFQA_CFG_MASK, kFlags);
  writer.end_message(begin);
  return exchange(socket, bytes, [](const nlmsghdr&) {});
}

}  // namespace

Result<PacketQueue> PacketQueue::open() {
  constexpr unsigned kFirst = 0x5a00;
  constexpr unsigned kCount = 256;
  SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed(kNoQueue, errno);
  const auto own = static_cast<unsigned>(::getpid());
  for (unsigned i = 0; i < kCount; ++i) {
    const auto number = static_cast<std::uint16_t>(kFirst + (own + i) % kCount);
    const int error = bind_to(socket.get(), number);
    if (error == 0) return PacketQueue(std::move(socket), number);
    if (error != EBUSY) return failed(kNoQueue, error);
  }
  return failed(kNoQueue, EBUSY);
}

Result<std::vector<std::uint32_t>> PacketQueue::held() {
  constexpr std::size_t kDatagram = 8192;
  std::vector<std::uint32_t> packets;
  std::array<std::uint8_t, kDatagram> buffer{};
  while (true) {
    const ssize_t size = ::recv(descriptor(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == ENOBUFS)) return packets;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed(kNoQueue, errno);
    View datagram(buffer.data(), static_cast<std::size_t>(size));
    while (const auto message = next_message(datagram)) {
      const auto answer = as_answer(*message);
      if (!answer || answer->type != queue_type(NFQNL_MSG_PACKET)) continue;
      const View header = find_attribute(answer->attributes, NFQA_PACKET_HDR);
      if (header.size() < sizeof(std::uint32_t)) continue;
      packets.push_back(ntohl(native_u32(header.data())));
    }
  }
}

Result<void> PacketQueue::repeat(std::span<const std::uint32_t> packets) {
  return release(packets, NF_REPEAT);
}
Result<void> PacketQueue::pass(std::span<const std::uint32_t> packets) {
  return release(packets, NF_ACCEPT);
}

Result<void> PacketQueue::release(std::span<const std::uint32_t> packets, std::uint32_t what) {
  for (const std::uint32_t packet : packets) {
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    const std::size_t begin =
        writer.begin_message(queue_type(NFQNL_MSG_VERDICT), 0, AF_UNSPEC, number_);
    const nfqnl_msg_verdict_hdr verdict{.verdict = htonl(what), .id = htonl(packet)};
    writer.put(NFQA_VERDICT_HDR, bytes_of(verdict));
    writer.end_message(begin);
    if (mnl_socket_sendto(socket_.get(), bytes.data(), bytes.size()) < 0) {
      return failed(kNoQueue, errno);
    }
  }
  return {};
}

}  // namespace rolewall::netlink
