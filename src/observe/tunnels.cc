#include "observe/tunnels.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "net/address.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "netlink/ipsec.h"
#include "netlink/sockets.h"
#include "netlink/tunnels.h"
#include "observe/opener.h"
#include "observe/relays.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

bool draws_ports(std::string_view kind) {
  return kind == "vxlan" || kind == "geneve";
}

net::Address unspecified(const net::Address& like) {
  return net::is_ipv4(like) ? net::Address{net::Ipv4{}} : net::Address{net::Ipv6{}};
}

// Where programs alone know the other ends, those that connection tracking has seen.
std::vector<netlink::TunnelPeer> peers_of(const netlink::TunnelLink& link) {
  std::vector<netlink::TunnelPeer> peers = link.peers;
  if (!peers.empty() || !link.is_told || link.protocol != net::protocol::kUdp) return peers;
  const auto seen = netlink::read_udp_peers(link.port);
  for (const netlink::UdpPeer& each : seen.value_or(std::vector<netlink::UdpPeer>())) {
    const net::Address& remote = each.peer.address;
    const bool is_known =
        std::ranges::find(peers, remote, &netlink::TunnelPeer::remote) != peers.end();
    if (!is_known && !each.is_here) {
      peers.push_back({.local = {}, .remote = remote, .port = link.port});
    }
  }
  return peers;
}

Tunnel of_link(const netlink::TunnelLink& link) {
  Tunnel tunnel{.devices = {link.device}, .kind = link.kind, .flows = {}};
  tunnel.devices.insert(tunnel.devices.end(), link.carries.begin(), link.carries.end());
  if (link.protocol == 0) return tunnel;
  for (const netlink::TunnelPeer& peer : peers_of(link)) {
    OuterFlow flow{.protocol = link.protocol,
                   .local = peer.local.value_or(unspecified(peer.remote)),
                   .remote = peer.remote,
                   .local_port = link.port,
                   .remote_port = peer.port,
                   .opened_by_peer = true,
                   .draws_ports = draws_ports(link.kind)};
    if (net::is_multicast(peer.remote)) flow.device = link.below;
    tunnel.flows.push_back(flow);
  }
  return tunnel;
}

// Those that connection tracking knows. Where somebody was answered, who was not is a stranger.
std::vector<netlink::UdpPeer> tracked_peers(const netlink::UdpSocket& socket) {
  auto peers = netlink::read_udp_peers(socket.local_port).value_or(std::vector<netlink::UdpPeer>());
  std::erase_if(peers, [&](const netlink::UdpPeer& each) {
    return each.is_here ||
           (!net::is_unspecified(socket.local) && each.local.address != socket.local);
  });
  if (std::ranges::any_of(peers, &netlink::UdpPeer::answered)) {
    std::erase_if(peers, [](const netlink::UdpPeer& each) { return !each.answered; });
  }
  return peers;
}

// Of a socket without a peer: those that connection tracking knows, else the one that stands for
// anybody.
void add_peers(std::vector<OuterFlow>& flows, const netlink::UdpSocket& socket) {
  OuterFlow flow{.protocol = net::protocol::kUdp,
                 .local = socket.local,
                 .remote = socket.remote,
                 .local_port = socket.local_port,
                 .remote_port = socket.remote_port};
  const std::vector<netlink::UdpPeer> peers = tracked_peers(socket);
  if (socket.remote_port != 0) {
    // A port that was not drawn is one that the peer knows, and may speak to first.
    const netlink::Endpoint peer{socket.remote, socket.remote_port};
    flow.opened_by_peer =
        socket.local_port < first_drawn_port() ||
        std::ranges::any_of(
            peers, [&](const netlink::UdpPeer& each) { return each.began && each.peer == peer; });
    flows.push_back(flow);
    return;
  }
  flow.opened_by_peer = true;
  for (const netlink::UdpPeer& each : peers) {
    flow.remote = each.peer.address;
    flow.remote_port = each.peer.port;
    if (std::ranges::find(flows, flow) == flows.end()) flows.push_back(flow);
  }
  if (!peers.empty()) return;
  flow.remote = *net::parse_address(net::is_ipv4(socket.local) ? "198.51.100.7" : "2001:db8::7");
  flow.remote_port = socket.local_port;
  flow.anybody = true;
  flows.push_back(flow);
}

// ESP or AH, or the UDP that ESP is put into; and what renews its keys, which is IKE (RFC
// 7296, 2.23: on port 4500 where that is used, else on 500).
void add_outer_flows(Tunnel& tunnel, const netlink::Ipsec& ipsec, const net::Address& local,
                     const net::Address& remote) {
  constexpr std::uint8_t kEsp = 50;
  constexpr std::uint16_t kIke = 500;
  OuterFlow flow{.protocol = kEsp, .local = local, .remote = remote, .opened_by_peer = true};
  OuterFlow keys = flow;
  keys.protocol = net::protocol::kUdp;
  keys.local_port = keys.remote_port = kIke;
  for (const netlink::IpsecAssociation& association : ipsec.associations) {
    if (association.to != remote || association.from != local) continue;
    flow.protocol = association.protocol;
    flow.local_port = association.from_port;
    flow.remote_port = association.to_port;
  }
  const auto add = [&](const OuterFlow& each) {
    if (std::ranges::find(tunnel.flows, each) == tunnel.flows.end()) tunnel.flows.push_back(each);
  };
  add(flow);
  if (flow.protocol != net::protocol::kUdp) add(keys);
}

// The ports from which other programs of this host speak to these sockets by UDP.
std::set<std::uint16_t> ports_within(const std::set<std::uint64_t>& held) {
  std::set<std::uint16_t> ports;
  const auto sockets = netlink::read_udp_sockets();
  for (const netlink::UdpSocket& socket : sockets.value_or(std::vector<netlink::UdpSocket>())) {
    if (!held.contains(socket.inode)) continue;
    if (socket.remote_port != 0 && net::is_loopback(socket.remote))
      ports.insert(socket.remote_port);
    if (socket.remote_port != 0) continue;
    const auto peers = netlink::read_udp_peers(socket.local_port);
    for (const netlink::UdpPeer& each : peers.value_or(std::vector<netlink::UdpPeer>())) {
      if (each.is_here) ports.insert(each.peer.port);
    }
  }
  return ports;
}

// A tunnel's other end may be a program of this host's, which carries it on: sslh and haproxy
// before it, stunnel and wstunnel behind.
void follow_relays(Tunnel& tunnel, const std::set<std::uint64_t>& held) {
  std::set<std::uint16_t> ports = ports_within(held);
  std::erase_if(tunnel.flows, [&](const OuterFlow& flow) {
    const bool is_within = net::is_loopback(flow.remote);
    if (is_within && flow.remote_port != 0) ports.insert(flow.remote_port);
    return is_within;
  });
  if (held.empty() && ports.empty()) return;
  tunnel.relayed = relayed_to(held, ports);
  // Who speaks to it is known.
  if (!tunnel.relayed.empty())
    std::erase_if(tunnel.flows, [](const auto& each) { return each.anybody; });
}

}  // namespace

void add_ipsec(std::vector<Tunnel>& found, const netlink::Ipsec& ipsec) {
  for (const netlink::IpsecPolicy& policy : ipsec.policies) {
    auto at = std::ranges::find_if(found, [&](const Tunnel& tunnel) {
      return tunnel.devices.empty() && tunnel.flows.front().remote == policy.remote;
    });
    if (at == found.end())
      at = found.insert(found.end(), {.devices = {}, .kind = "IPsec", .flows = {}});
    at->networks.push_back(policy.network);
    add_outer_flows(*at, ipsec, policy.local, policy.remote);
  }
  for (Tunnel& tunnel : found) {
    const bool by_device = tunnel.kind == "xfrm" || tunnel.kind == "vti" || tunnel.kind == "vti6";
    if (!by_device) continue;
    for (const netlink::IpsecPolicy& policy : ipsec.policies) {
      add_outer_flows(tunnel, ipsec, policy.local, policy.remote);
    }
  }
}

std::string name_of(const Tunnel& tunnel) {
  if (!tunnel.devices.empty()) return tunnel.devices.front();
  return tunnel.flows.empty() ? "" : "to " + net::format(tunnel.flows.front().remote);
}

Result<std::vector<Tunnel>> tunnels() {
  const auto links = netlink::read_tunnels();
  if (!links) return std::unexpected(links.error());
  std::vector<Tunnel> found;
  for (const netlink::TunnelLink& link : *links) {
    Tunnel& tunnel = found.emplace_back(of_link(link));
    const auto held =
        link.kind == "tun" ? sockets_beside_tun(link.device) : std::set<std::uint64_t>();
    if (link.kind == "tun") tunnel.flows = flows_of(held);
    follow_relays(tunnel, held);
  }
  const auto ipsec = netlink::read_ipsec();
  if (!ipsec) return std::unexpected(ipsec.error());
  add_ipsec(found, *ipsec);
  return found;
}

std::vector<OuterFlow> flows_of(const std::set<std::uint64_t>& held) {
  std::vector<OuterFlow> flows;
  if (const auto sockets = netlink::read_udp_sockets()) {
    for (const netlink::UdpSocket& socket : *sockets) {
      if (held.contains(socket.inode) && !net::is_loopback(socket.local)) add_peers(flows, socket);
    }
  }
  const auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return flows;
  for (const netlink::TcpSocket& socket : sockets->established) {
    if (!held.contains(socket.inode) || net::is_loopback(socket.remote)) continue;
    const Opener opener = opener_of(socket, *sockets);
    flows.push_back({.protocol = net::protocol::kTcp,
                     .local = socket.local,
                     .remote = socket.remote,
                     .local_port = socket.local_port,
                     .remote_port = socket.remote_port,
                     .opened_by_peer = opener != Opener::Here,
                     .opened_here = opener != Opener::Peer});
  }
  return flows;
}

}  // namespace rolewall::observe
