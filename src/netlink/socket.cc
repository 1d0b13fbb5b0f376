#include "netlink/socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace rolewall::netlink {
namespace {

// The kernel writes at most 32 KiB of a dump at once; larger single messages would be cut off, and
// are refused by MSG_TRUNC.
constexpr std::size_t kReceiveBuffer = 256UL * 1024;
// Room for the errors of a batch in which thousands of messages fail.
constexpr int kSocketReceiveBuffer = 16 * 1024 * 1024;
constexpr long kTimeoutSeconds = 30;

std::unexpected<Error> system_error(std::string_view what, int error) {
  return fail(ErrorKind::System, fmt::format("netlink: {}: {}", what, std::strerror(error)), error);
}

// What follows the error number: the header of the message at fault, its payload unless the kernel
// left it out, and the extended acknowledgement.
void read_extended_ack(const MessageView& message, KernelError& error) {
  nlmsgerr original{};
  if ((message.header.nlmsg_flags & NLM_F_ACK_TLVS) == 0 ||
      message.payload.size() < sizeof original) {
    return;
  }
  std::memcpy(&original, message.payload.data(), sizeof original);
  std::size_t offset = sizeof original;
  if ((message.header.nlmsg_flags & NLM_F_CAPPED) == 0) {
    offset += aligned(original.msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  if (offset > message.payload.size()) return;
  for_each_attribute(message.payload.subspan(offset), [&](std::uint16_t type, View payload) {
    if (type == NLMSGERR_ATTR_MSG) {
      error.text.assign(payload.begin(), std::find(payload.begin(), payload.end(), 0));
    } else if (type == NLMSGERR_ATTR_OFFS && payload.size() == sizeof error.offset) {
      error.offset = native_u32(payload.data());
    }
  });
}

}  // namespace

std::unexpected<Error> not_permitted() {
  return fail(ErrorKind::System,
              "not permitted: the kernel's firewall takes CAP_NET_ADMIN (run it as root)", EPERM);
}

Socket::Socket(mnl_socket* socket)
    : socket_(socket), buffer_(kReceiveBuffer), port_(mnl_socket_get_portid(socket)) {}

Result<Socket> Socket::open() {
  mnl_socket* raw = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (raw == nullptr) return system_error("cannot open a socket", errno);
  std::unique_ptr<mnl_socket, Closer> owner(raw);
  if (mnl_socket_bind(raw, 0, MNL_SOCKET_AUTOPID) < 0) {
    return system_error("cannot bind a socket", errno);
  }
  Socket socket(owner.release());
  const int on = 1;
  // Kernels that know neither give less to explain a refusal with.
  mnl_socket_setsockopt(raw, NETLINK_EXT_ACK, const_cast<int*>(&on), sizeof on);
  mnl_socket_setsockopt(raw, NETLINK_CAP_ACK, const_cast<int*>(&on), sizeof on);
  const int fd = socket.descriptor();
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kSocketReceiveBuffer,
                   sizeof kSocketReceiveBuffer) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kSocketReceiveBuffer, sizeof kSocketReceiveBuffer);
  }
  const timeval timeout{.tv_sec = kTimeoutSeconds, .tv_usec = 0};
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
    return system_error("cannot set a timeout", errno);
  }
  return socket;
}

std::uint32_t Socket::reserve_sequences(std::uint32_t count) {
  if (next_sequence_ > UINT32_MAX - count) next_sequence_ = 1;
  const std::uint32_t first = next_sequence_;
  next_sequence_ += count;
  return first;
}

// A batch is one datagram, and the socket's send buffer bounds its size.
Result<void> Socket::make_room(std::size_t size) {
  const auto granted = [this] {
    int value = 0;
    socklen_t length = sizeof value;
    ::getsockopt(descriptor(), SOL_SOCKET, SO_SNDBUF, &value, &length);
    return static_cast<std::size_t>(value);
  };
  constexpr std::size_t kOverhead = 1024;
  if (granted() >= size + kOverhead) return {};
  const int wanted = size > INT32_MAX / 2 ? INT32_MAX / 2 : static_cast<int>(size + kOverhead);
  if (::setsockopt(descriptor(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof wanted) != 0) {
    ::setsockopt(descriptor(), SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  }
  if (granted() >= size + kOverhead) return {};
  return fail(ErrorKind::System,
              fmt::format("the transaction has {} bytes and the socket takes {}: raise "
                          "net.core.wmem_max, or run with CAP_NET_ADMIN outside of a container; "
                          "nothing was changed",
                          size, granted()),
              EMSGSIZE);
}

Result<void> Socket::send(View message) {
  TRY(make_room(message.size()));
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (::sendto(descriptor(), message.data(), message.size(), 0,
                  reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    if (errno != EINTR) return system_error("cannot send", errno);
  }
  return {};
}

Result<View> Socket::receive(bool wait) {
  while (true) {
    sockaddr_nl from{};
    iovec part{.iov_base = buffer_.data(), .iov_len = buffer_.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(descriptor(), &message, wait ? 0 : MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        if (!wait) return View{};
        return fail(ErrorKind::System,
                    fmt::format("netlink: no answer within {} seconds", kTimeoutSeconds), ETIME);
      }
      return system_error("cannot receive", errno);
    }
    if (from.nl_pid != 0) continue;  // not from the kernel
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      return fail(ErrorKind::System, "netlink: a message is larger than the buffer", EMSGSIZE);
    }
    return View{buffer_.data(), static_cast<std::size_t>(size)};
  }
}

// The kernel begins no other dump on a socket whose last one was not read to its end.
std::unexpected<Error> Socket::abandon(Error reason) {
  Result<Socket> fresh = open();
  if (!fresh) return std::unexpected(std::move(fresh).error());
  *this = std::move(*fresh);
  return std::unexpected(std::move(reason));
}

Result<Socket::DumpEnd> Socket::dump(std::vector<std::uint8_t> request,
                                     const std::function<Result<void>(const Answer&)>& visit) {
  const std::uint32_t sequence = reserve_sequences(1);
  std::memcpy(request.data() + offsetof(nlmsghdr, nlmsg_seq), &sequence, sizeof sequence);
  TRY(send(request));
  DumpEnd end = DumpEnd::Complete;
  while (true) {
    Result<View> datagram = receive(true);
    if (!datagram) return std::unexpected(std::move(datagram).error());
    View rest = *datagram;
    while (const auto message = next_message(rest)) {
      if (message->header.nlmsg_seq != sequence || message->header.nlmsg_pid != port_) continue;
      if ((message->header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) end = DumpEnd::Interrupted;
      if (message->header.nlmsg_type == NLMSG_ERROR || message->header.nlmsg_type == NLMSG_DONE) {
        const int error = status_of(*message);
        if (error == EPERM) {
          return not_permitted();
        }
        if (error != 0) {
          return system_error("cannot read from the kernel", error);
        }
        return end;
      }
      if (message->header.nlmsg_type < NLMSG_MIN_TYPE) continue;
      const auto answer = as_answer(*message);
      Result<void> visited =
          answer ? visit(*answer)
                 : fail(ErrorKind::System, "netlink: an answer is cut short", EBADMSG);
      if (!visited) return abandon(std::move(visited).error());
    }
  }
}

Result<void> Socket::ask(std::vector<std::uint8_t> request,
                         const std::function<Result<void>(const Answer&)>& visit) {
  // With an acknowledgement asked for, the answer is followed by a status, as a dump is.
  const auto flags = static_cast<std::uint16_t>(
      native_u16(request.data() + offsetof(nlmsghdr, nlmsg_flags)) | NLM_F_ACK);
  std::memcpy(request.data() + offsetof(nlmsghdr, nlmsg_flags), &flags, sizeof flags);
  Result<DumpEnd> end = dump(std::move(request), visit);
  if (!end) return std::unexpected(std::move(end).error());
  return {};
}

void Socket::read_batch_answers(View datagram, std::uint32_t first_sequence, std::uint32_t count,
                                BatchAnswer& answer) const {
  while (const auto message = next_message(datagram)) {
    const std::uint32_t sequence = message->header.nlmsg_seq - first_sequence;
    if (sequence >= count || message->header.nlmsg_pid != port_ ||
        message->header.nlmsg_type != NLMSG_ERROR) {
      continue;
    }
    const int error = status_of(*message);
    if (error == 0) {
      answer.acknowledged = true;
      continue;
    }
    KernelError found{.sequence = sequence, .os_errno = error, .offset = 0, .text = {}};
    read_extended_ack(*message, found);
    answer.errors.push_back(std::move(found));
  }
}

Result<BatchAnswer> Socket::transact(View batch, std::uint32_t first_sequence,
                                     std::uint32_t count) {
  TRY(send(batch));
  BatchAnswer answer;
  while (true) {
    Result<View> datagram = receive(false);
    if (!datagram && datagram.error().os_errno == ENOBUFS) {
      answer.overrun = true;  // said once; the first of the errors are still there
      continue;
    }
    if (!datagram) return std::unexpected(std::move(datagram).error());
    if (datagram->empty()) return answer;
    read_batch_answers(*datagram, first_sequence, count, answer);
  }
}

}  // namespace rolewall::netlink
