#include "observe/opener.h"

#include <algorithm>
#include <sstream>

#include "base/file.h"

namespace rolewall::observe {

Opener opener_of(const netlink::TcpSocket& socket, const netlink::TcpSockets& sockets) {
  const bool is_served = std::ranges::any_of(
      sockets.listening, [&](const auto& each) { return each.local_port == socket.local_port; });
  if (is_served) return Opener::Peer;
  const auto flow = netlink::read_original_flow(socket);
  if (flow && *flow && (*flow)->opener_is_known) {
    const bool from_here =
        (*flow)->from.address == socket.local && (*flow)->from.port == socket.local_port;
    return from_here ? Opener::Here : Opener::Peer;
  }
  // Of the reverse nothing follows: a program may choose the port that it dials from.
  const unsigned drawn = first_drawn_port();
  if (socket.local_port >= drawn && socket.remote_port < drawn) return Opener::Here;
  return Opener::Unknown;
}

unsigned first_drawn_port() {
  constexpr std::size_t kLargestSetting = 4096;
  const auto text = read_file("/proc/sys/net/ipv4/ip_local_port_range", kLargestSetting);
  unsigned first = 32768;
  if (text) std::istringstream(*text) >> first;
  return first;
}

}  // namespace rolewall::observe
