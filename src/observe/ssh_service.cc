#include "observe/ssh_service.h"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <utility>

#include "net/address.h"
#include "netlink/sockets.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

using netlink::TcpSocket;

constexpr std::uint16_t kSshPort = 22;

void add_door(std::vector<SshDoor>& doors, const SshDoor& door) {
  if (std::ranges::find(doors, door) == doors.end()) doors.push_back(door);
}

// Which sockets belong to ssh servers: OpenSSH's, and the small one of embedded systems.
class SshServers {
 public:
  explicit SshServers(const netlink::TcpSockets& sockets) : sockets_(sockets) {
    for (auto& [id, process] : processes_with_sockets()) {
      if (is_one(process.name)) processes_.emplace(id, std::move(process));
    }
  }

  // Where ssh is served: ports on which sshd listens and, where systemd listens in its stead, those
  // that its sessions came to; and port 22. What a session's process listens on, or sshd at the
  // loopback, are tunnels of its users.
  std::vector<SshDoor> doors() const {
    std::vector<SshDoor> doors;
    for (const TcpSocket& socket : sockets_.listening) {
      if (!net::is_loopback(socket.local) && is_door(socket)) {
        add_door(doors, {socket.local, socket.local_port});
      }
    }
    return doors;
  }

  // Whether this command runs below one that holds the socket. True, too, where none is seen to.
  bool is_above(std::uint64_t inode) const {
    const auto holds = [&](const auto& each) { return each.second.sockets.contains(inode); };
    if (std::ranges::none_of(processes_, holds)) return true;
    for (const unsigned process : ancestors()) {
      const auto at = processes_.find(process);
      if (at != processes_.end() && holds(*at)) return true;
    }
    return false;
  }

  bool listens_within() const {
    return std::ranges::any_of(sockets_.listening, [&](const TcpSocket& socket) {
      return net::is_loopback(socket.local) &&
             (socket.local_port == kSshPort || is_listened_at(socket));
    });
  }

 private:
  // Of a session: sshd-session, from OpenSSH 9.8 on.
  static bool is_one(const std::string& name) {
    return name == "sshd" || name == "sshd-session" || name == "dropbear";
  }

  bool is_door(const TcpSocket& socket) const {
    return socket.local_port == kSshPort || is_listened_at(socket) || has_sessions(socket);
  }

  // Anybody may call his program sshd, but not make it root's.
  bool is_listened_at(const TcpSocket& socket) const {
    return socket.user == 0 &&
           std::ranges::any_of(processes_ | std::views::values, [&](const Process& process) {
             return process.sockets.contains(socket.inode) && !is_of_session(process);
           });
  }

  // Accepted by another than who holds it now.
  bool has_sessions(const TcpSocket& socket) const {
    return std::ranges::any_of(sockets_.established, [&](const TcpSocket& session) {
      return session.local_port == socket.local_port && session.user == 0 &&
             std::ranges::any_of(processes_ | std::views::values, [&](const Process& process) {
               return process.sockets.contains(session.inode) &&
                      !process.sockets.contains(socket.inode);
             });
    });
  }

  // It has a connection to a port on which another listens: who serves a session has not accepted
  // it, and what it listens on itself is asked for by the session (`ssh -R`).
  bool is_of_session(const Process& process) const {
    if (process.name == "sshd-session") return true;
    const auto holds = [&](const TcpSocket& socket) {
      return process.sockets.contains(socket.inode);
    };
    return std::ranges::any_of(sockets_.established, [&](const TcpSocket& session) {
      return holds(session) &&
             std::ranges::none_of(sockets_.listening, [&](const TcpSocket& socket) {
               return socket.local_port == session.local_port && holds(socket);
             });
    });
  }

  const netlink::TcpSockets& sockets_;
  std::map<unsigned, Process> processes_;  // by their ids
};

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
  const SshServers servers(*sockets);
  service.doors = servers.doors();
  service.only_within = service.doors.empty() && servers.listens_within();
  const auto claimed = ssh_connection();
  const auto is_served = [&](std::uint16_t port) {
    return port == kSshPort || std::ranges::count(service.doors, port, &SshDoor::port) != 0;
  };
  std::optional<SshConnection> own;
  bool is_inherited = false;
  for (const netlink::TcpSocket& socket : sockets->established) {
    const SshConnection session{.client = socket.remote,
                                .client_port = socket.remote_port,
                                .server = socket.local,
                                .server_port = socket.local_port,
                                .device = name_of(socket.device)};
    if (claimed && is_same(session, *claimed)) {
      own = session;
      is_inherited = !servers.is_above(socket.inode);
    } else if (is_served(socket.local_port)) {
      service.sessions.push_back(session);
    }
  }
  // What a program of this host relays is checked with what carries it (relays.h).
  std::ranges::stable_partition(service.sessions, [](const SshConnection& session) {
    return !net::is_loopback(session.client);
  });
  if (own && is_inherited && !service.sessions.empty()) {
    service.sessions.insert(service.sessions.begin(), *own);
    service.is_inherited = true;
  } else if (own) {
    service.others = std::exchange(service.sessions, {*own});
    service.kind = SessionKind::Own;
  }
  if (claimed && !own) {
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
