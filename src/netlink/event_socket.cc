#include "netlink/event_socket.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <utility>

namespace rolewall::netlink {

EventSocket::EventSocket(SocketPtr socket, const Room& room)
    : socket_(std::move(socket)), room_(room), buffers_(room.datagram * room.at_once) {}

// open_socket() gives it an address of its own, without which it would take no multicast.
Result<EventSocket> EventSocket::open(const Room& room) {
  SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot open a netlink socket", errno);
  const int fd = mnl_socket_get_fd(socket.get());
  const int size = room.waiting;
  if (size != 0 && ::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  return EventSocket(std::move(socket), room);
}

Result<void> EventSocket::join(int group) {
  if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return failed("cannot listen to netfilter's events", errno);
  }
  return {};
}

Result<void> EventSocket::ask(View request, const char* what) {
  const int error = exchange(socket_.get(), request, [](const nlmsghdr&) {});
  if (error != 0) return failed(what, error);
  return {};
}

Result<void> EventSocket::take(View datagram,
                               const std::function<void(const Answer&)>& visit) const {
  while (!datagram.empty()) {
    const auto message = next_message(datagram);
    if (!message) return fail(ErrorKind::System, "netlink: an event is cut short", EBADMSG);
    // NLMSG_DONE ends a datagram of several events.
    if (message->header.nlmsg_type < NLMSG_MIN_TYPE) continue;
    const auto answer = as_answer(*message);
    if (!answer) return fail(ErrorKind::System, "netlink: an event is cut short", EBADMSG);
    visit(*answer);
  }
  return {};
}

Result<void> EventSocket::read(int timeout_ms, const std::function<void(const Answer&)>& visit) {
  const int fd = mnl_socket_get_fd(socket_.get());
  if (timeout_ms > 0) {
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, timeout_ms) < 0 && errno != EINTR) {
      return failed("cannot wait for netfilter's events", errno);
    }
  }
  std::vector<iovec> parts(room_.at_once);
  std::vector<sockaddr_nl> senders(room_.at_once);
  std::vector<mmsghdr> datagrams(room_.at_once);
  for (std::size_t calls = 0; room_.most_calls == 0 || calls < room_.most_calls; ++calls) {
    for (std::size_t i = 0; i < room_.at_once; ++i) {
      parts[i] = {.iov_base = buffers_.data() + i * room_.datagram, .iov_len = room_.datagram};
      datagrams[i] = {};
      datagrams[i].msg_hdr.msg_name = &senders[i];
      datagrams[i].msg_hdr.msg_namelen = sizeof senders[i];
      datagrams[i].msg_hdr.msg_iov = &parts[i];
      datagrams[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = ::recvmmsg(fd, datagrams.data(), static_cast<unsigned>(room_.at_once),
                                 MSG_DONTWAIT, nullptr);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count < 0 && errno == ENOBUFS) {
      return fail(ErrorKind::Conflict, "netfilter's events came faster than they were read",
                  ENOBUFS);
    }
    if (count < 0) return failed("cannot read netfilter's events", errno);
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      if (senders[i].nl_pid != 0) continue;  // not from the kernel
      if ((datagrams[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        return fail(ErrorKind::System, "netlink: an event is larger than the buffer", EMSGSIZE);
      }
      TRY(take(View(buffers_).subspan(i * room_.datagram, datagrams[i].msg_len), visit));
    }
    if (static_cast<std::size_t>(count) < room_.at_once) return {};
  }
  return {};
}

}  // namespace rolewall::netlink
