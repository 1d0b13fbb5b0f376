#include "cli/guard_facts.h"

#include <algorithm>
#include <utility>

#include "cli/session.h"
#include "cli/socket_owners.h"
#include "cli/this_host.h"
#include "net/address_set.h"
#include "netlink/machine.h"
#include "netlink/sockets.h"

namespace rolewall::cli {
namespace {

constexpr std::uint16_t kSshPort = 22;

void add_port(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  if (std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
}

bool is_loopback(const net::Address& address) {
  static const net::AddressSet kLoopback =
      net::AddressSet::from({*net::parse_prefix("127.0.0.0/8"), *net::parse_prefix("::1/128")});
  return kLoopback.contains(address);
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
    if (is_loopback(socket.local)) continue;
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

Result<apply::GuardFacts> guard_facts(const policy::Policy& policy) {
  apply::GuardFacts facts;
  auto machine = this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  facts.machine = std::move(*machine);
  const auto links = netlink::read_machine();
  if (!links) return std::unexpected(links.error());
  facts.leases_ipv4 = links->leases_ipv4;
  const auto sockets = netlink::read_tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());

  facts.ssh_ports = ports_of_ssh(*sockets, socket_owners());
  if (const auto ssh = ssh_connection()) {
    add_port(facts.ssh_ports, ssh->server_port);
    facts.sessions.push_back({.client = ssh->client,
                              .client_port = ssh->client_port,
                              .server = ssh->server,
                              .server_port = ssh->server_port});
  } else {
    const auto is_served = [&](std::uint16_t port) {
      return port == kSshPort || std::ranges::find(facts.ssh_ports, port) != facts.ssh_ports.end();
    };
    for (const netlink::TcpSocket& socket : sockets->established) {
      if (!is_served(socket.local_port)) continue;
      facts.sessions.push_back({.client = socket.remote,
                                .client_port = socket.remote_port,
                                .server = socket.local,
                                .server_port = socket.local_port});
    }
  }
  for (const net::Prefix& prefix : net::to_prefixes(policy.management_addresses.ipv4)) {
    facts.management.push_back(prefix);
  }
  for (const net::Prefix& prefix : net::to_prefixes(policy.management_addresses.ipv6)) {
    facts.management.push_back(prefix);
  }
  return facts;
}

}  // namespace rolewall::cli
