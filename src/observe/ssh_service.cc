#include "observe/ssh_service.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "net/address.h"
#include "netlink/sockets.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

constexpr std::uint16_t kSshPort = 22;

void add_door(std::vector<SshDoor>& doors, const SshDoor& door) {
  if (std::ranges::find(doors, door) == doors.end()) doors.push_back(door);
}

// OpenSSH's own (of a session: sshd-session, from 9.8 on), and the small one of embedded systems.
bool is_ssh_server(const std::string& name) {
  return name == "sshd" || name == "sshd-session" || name == "dropbear";
}

// Where ssh is served: ports on which sshd listens and, where systemd listens in its stead, those
// that its sessions came to; and port 22. What sshd listens on at the loopback, or connects to, are
// tunnels of its users.
std::vector<SshDoor> doors_of_ssh(const netlink::TcpSockets& sockets, const SocketOwners& owners) {
  const auto is_held = [&](const netlink::TcpSocket& socket) {
    const auto owner = owners.find(socket.inode);
    return owner != owners.end() && is_ssh_server(owner->second);
  };
  std::vector<SshDoor> doors;
  for (const netlink::TcpSocket& socket : sockets.listening) {
    if (net::is_loopback(socket.local)) continue;
    const bool has_sessions =
        std::ranges::any_of(sockets.established, [&](const netlink::TcpSocket& session) {
          return session.local_port == socket.local_port && is_held(session);
        });
    if (socket.local_port == kSshPort || is_held(socket) || has_sessions) {
      add_door(doors, {socket.local, socket.local_port});
    }
  }
  return doors;
}

bool listens_within(const netlink::TcpSockets& sockets, const SocketOwners& owners) {
  return std::ranges::any_of(sockets.listening, [&](const netlink::TcpSocket& socket) {
    const auto owner = owners.find(socket.inode);
    return net::is_loopback(socket.local) &&
           (socket.local_port == kSshPort ||
            (owner != owners.end() && is_ssh_server(owner->second)));
  });
}

bool is_same(const SshConnection& a, const SshConnection& b) {
  return a.client == b.client && a.client_port == b.client_port && a.server == b.server &&
         a.server_port == b.server_port;
}

// Somebody listens where it came to.
bool is_served_at(const SshService& service, const SshConnection& session) {
  return std::ranges::any_of(service.doors, [&](const SshDoor& door) {
    return door.port == session.server_port &&
           (net::is_unspecified(door.address) || door.address == session.server);
  });
}

// "" where it is bound to none.
std::string name_of(std::uint32_t device) {
  std::array<char, IF_NAMESIZE> name{};
  if (device == 0 || ::if_indextoname(device, name.data()) == nullptr) return "";
  return name.data();
}

}  // namespace

Result<SshService> ssh_service() {
  const auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  SshService service;
  const SocketOwners owners = socket_owners();
  service.doors = doors_of_ssh(*sockets, owners);
  service.only_within = service.doors.empty() && listens_within(*sockets, owners);
  const auto claimed = ssh_connection();
  const auto is_served = [&](std::uint16_t port) {
    return port == kSshPort || std::ranges::count(service.doors, port, &SshDoor::port) != 0;
  };
  std::optional<SshConnection> own;
  for (const netlink::TcpSocket& socket : sockets->established) {
    const SshConnection session{.client = socket.remote,
                                .client_port = socket.remote_port,
                                .server = socket.local,
                                .server_port = socket.local_port,
                                .device = name_of(socket.device)};
    if (claimed && is_same(session, *claimed)) {
      own = session;
    } else if (is_served(socket.local_port)) {
      service.sessions.push_back(session);
    }
  }
  // What a program of this host relays is checked with what carries it (relays.h).
  std::ranges::stable_partition(service.sessions, [](const SshConnection& session) {
    return !net::is_loopback(session.client);
  });
  if (own) {
    service.others = std::exchange(service.sessions, {*own});
    service.kind = SessionKind::Own;
  }
  if (claimed && service.kind != SessionKind::Own) {
    service.is_over = true;
    if (service.sessions.empty()) {
      service.sessions = {*claimed};
      service.kind = SessionKind::Claimed;
    }
  }
  for (const SshConnection& session : service.sessions) {
    // Who listens cannot be seen: it may be at each address.
    if (!is_served_at(service, session) && !net::is_loopback(session.server)) {
      add_door(service.doors, {net::Ipv6{}, session.server_port});
    }
  }
  return service;
}

}  // namespace rolewall::observe
