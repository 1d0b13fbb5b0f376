#include "observe/tunnels.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "net/address.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "netlink/sockets.h"
#include "netlink/tunnels.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

bool draws_ports(std::string_view kind) {
  return kind == "vxlan" || kind == "geneve";
}

net::Address unspecified(const net::Address& like) {
  return net::is_ipv4(like) ? net::Address{net::Ipv4{}} : net::Address{net::Ipv6{}};
}

Tunnel of_link(const netlink::TunnelLink& link) {
  Tunnel tunnel{.devices = {link.device}, .kind = link.kind, .flows = {}};
  tunnel.devices.insert(tunnel.devices.end(), link.carries.begin(), link.carries.end());
  if (link.protocol == 0) return tunnel;
  for (const netlink::TunnelPeer& peer : link.peers) {
    OuterFlow flow{.protocol = link.protocol,
                   .local = peer.local.value_or(unspecified(peer.remote)),
                   .remote = peer.remote,
                   .local_port = link.port,
                   .remote_port = peer.port,
                   .opened_by_peer = true,
                   .draws_ports = draws_ports(link.kind)};
    tunnel.flows.push_back(flow);
  }
  return tunnel;
}

// net.ipv4.ip_local_port_range, of both families.
unsigned first_drawn_port() {
  constexpr std::size_t kLargestSetting = 4096;
  const auto text = read_file("/proc/sys/net/ipv4/ip_local_port_range", kLargestSetting);
  unsigned first = 32768;
  if (text) std::istringstream(*text) >> first;
  return first;
}

// Of a socket without a peer: those that connection tracking knows, else the one that stands for
// anybody.
void add_peers(Tunnel& tunnel, const netlink::UdpSocket& socket) {
  OuterFlow flow{.protocol = net::protocol::kUdp,
                 .local = socket.local,
                 .remote = socket.remote,
                 .local_port = socket.local_port,
                 .remote_port = socket.remote_port};
  if (socket.remote_port != 0) {
    // A port that was not drawn is one that the peer knows, and may speak to first.
    flow.opened_by_peer = socket.local_port < first_drawn_port();
    tunnel.flows.push_back(flow);
    return;
  }
  flow.opened_by_peer = true;
  const auto peers = netlink::read_udp_peers(socket.local_port);
  for (const netlink::Endpoint& peer : peers.value_or(std::vector<netlink::Endpoint>())) {
    flow.remote = peer.address;
    flow.remote_port = peer.port;
    tunnel.flows.push_back(flow);
  }
  if (peers && !peers->empty()) return;
  flow.remote = *net::parse_address(net::is_ipv4(socket.local) ? "198.51.100.7" : "2001:db8::7");
  flow.remote_port = socket.local_port;
  flow.anybody = true;
  tunnel.flows.push_back(flow);
}

// The sockets of whoever holds the tun device.
void add_sockets(Tunnel& tunnel, const std::set<std::uint64_t>& held) {
  if (const auto sockets = netlink::read_udp_sockets()) {
    for (const netlink::UdpSocket& socket : *sockets) {
      if (held.contains(socket.inode) && !net::is_loopback(socket.local)) add_peers(tunnel, socket);
    }
  }
  const auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return;
  for (const netlink::TcpSocket& socket : sockets->established) {
    if (!held.contains(socket.inode) || net::is_loopback(socket.remote)) continue;
    const bool listens = std::ranges::any_of(
        sockets->listening,
        [&](const netlink::TcpSocket& other) { return other.local_port == socket.local_port; });
    tunnel.flows.push_back({.protocol = net::protocol::kTcp,
                            .local = socket.local,
                            .remote = socket.remote,
                            .local_port = socket.local_port,
                            .remote_port = socket.remote_port,
                            .opened_by_peer = listens});
  }
}

}  // namespace

Result<std::vector<Tunnel>> tunnels() {
  const auto links = netlink::read_tunnels();
  if (!links) return std::unexpected(links.error());
  std::vector<Tunnel> found;
  for (const netlink::TunnelLink& link : *links) {
    Tunnel& tunnel = found.emplace_back(of_link(link));
    if (link.kind == "tun") add_sockets(tunnel, sockets_beside_tun(link.device));
  }
  return found;
}

}  // namespace rolewall::observe
