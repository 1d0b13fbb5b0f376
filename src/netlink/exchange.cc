#include "netlink/exchange.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace rolewall::netlink {

using Visit = std::function<void(const nlmsghdr&)>;

SocketPtr open_socket(int protocol) {
  SocketPtr socket(mnl_socket_open2(protocol, SOCK_CLOEXEC));
  if (socket && mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) socket.reset();
  return socket;
}

int exchange(mnl_socket* socket, View request, const Visit& visit) {
  constexpr std::size_t kBufferSize = std::size_t{64} * 1024;
  if (mnl_socket_sendto(socket, request.data(), request.size()) < 0) return errno;
  std::vector<char> buffer(kBufferSize);
  const auto each = [](const nlmsghdr* message, void* data) {
    (*static_cast<const Visit*>(data))(*message);
    return MNL_CB_OK;
  };
  while (true) {
    const ssize_t size = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    const int status = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0,
                                  mnl_socket_get_portid(socket), each, const_cast<Visit*>(&visit));
    if (status < 0) return errno;
    if (status == MNL_CB_STOP) return 0;
  }
}

std::unexpected<Error> failed(const char* what, int error) {
  return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
}

}  // namespace rolewall::netlink
