#include "observe/ssh_service.h"

#include <algorithm>
#include <utility>

#include "net/address.h"
#include "netlink/sockets.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

constexpr std::uint16_t kSshPort = 22;

void add_port(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  if (std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
}

// OpenSSH's own (of a session: sshd-session, from 9.8 on), and the small one of embedded systems.
bool is_ssh_server(const std::string& name) {
  return name == "sshd" || name == "sshd-session" || name == "dropbear";
}

// Where ssh is served: ports on which sshd listens and, where systemd listens in its stead, those
// that its sessions came to; and port 22. What sshd listens on at the loopback, or connects to, are
// tunnels of its users.
std::vector<std::uint16_t> ports_of_ssh(const netlink::TcpSockets& sockets,
                                        const SocketOwners& owners) {
  const auto is_held = [&](const netlink::TcpSocket& socket) {
    const auto owner = owners.find(socket.inode);
    return owner != owners.end() && is_ssh_server(owner->second);
  };
  std::vector<std::uint16_t> ports;
  for (const netlink::TcpSocket& socket : sockets.listening) {
    if (net::is_loopback(socket.local)) continue;
    const bool has_sessions =
        std::ranges::any_of(sockets.established, [&](const netlink::TcpSocket& session) {
          return session.local_port == socket.local_port && is_held(session);
        });
    if (socket.local_port == kSshPort || is_held(socket) || has_sessions) {
      add_port(ports, socket.local_port);
    }
  }
  return ports;
}

}  // namespace

Result<SshService> ssh_service() {
  const auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  SshService service;
  service.ports = ports_of_ssh(*sockets, socket_owners());
  if (const auto ssh = ssh_connection()) {
    add_port(service.ports, ssh->server_port);
    service.sessions.push_back(*ssh);
    return service;
  }
  const auto is_served = [&](std::uint16_t port) {
    return port == kSshPort || std::ranges::find(service.ports, port) != service.ports.end();
  };
  for (const netlink::TcpSocket& socket : sockets->established) {
    if (!is_served(socket.local_port)) continue;
    service.sessions.push_back({.client = socket.remote,
                                .client_port = socket.remote_port,
                                .server = socket.local,
                                .server_port = socket.local_port});
  }
  return service;
}

}  // namespace rolewall::observe
