#include "netlink/unix_sockets.h"

#include <libmnl/libmnl.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "netlink/exchange.h"

namespace rolewall::netlink {

Result<std::vector<UnixSocket>> read_unix_sockets() {
  constexpr std::uint32_t kConnected = 1U << 1;  // TCP_ESTABLISHED of linux/tcp.h, here too
  const SocketPtr socket = open_socket(NETLINK_SOCK_DIAG);
  if (!socket) return failed("cannot read the Unix sockets", errno);
  std::array<char, 256> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* query =
      static_cast<unix_diag_req*>(mnl_nlmsg_put_extra_header(request, sizeof(unix_diag_req)));
  query->sdiag_family = AF_UNIX;
  query->udiag_states = kConnected;
  query->udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_PEER;
  std::vector<UnixSocket> sockets;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(request);
  const int error =
      exchange(socket.get(), {bytes, request->nlmsg_len}, [&](const nlmsghdr& message) {
        const auto& found = *static_cast<const unix_diag_msg*>(mnl_nlmsg_get_payload(&message));
        const View attributes{
            static_cast<const std::uint8_t*>(
                mnl_nlmsg_get_payload_offset(&message, sizeof(unix_diag_msg))),
            static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message))};
        const View name = find_attribute(attributes, UNIX_DIAG_NAME);
        const View peer = find_attribute(attributes, UNIX_DIAG_PEER);
        std::uint32_t inode = 0;
        if (peer.size() != sizeof inode) return;  // it is gone
        std::memcpy(&inode, peer.data(), sizeof inode);
        sockets.push_back({.inode = found.udiag_ino,
                           .peer = inode,
                           .name = std::string(name.begin(), name.end())});
      });
  if (error != 0) return failed("cannot read the Unix sockets", error);
  return sockets;
}

}  // namespace rolewall::netlink
