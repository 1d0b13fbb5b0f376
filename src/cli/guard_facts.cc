#include "cli/guard_facts.h"

#include <algorithm>
#include <utility>

#include "cli/session.h"
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

  for (const netlink::TcpSocket& socket : sockets->listening) {
    if (socket.local_port == kSshPort) add_port(facts.ssh_ports, kSshPort);
  }
  if (const auto ssh = ssh_connection()) {
    add_port(facts.ssh_ports, ssh->server_port);
    facts.sessions.push_back({.client = ssh->client,
                              .client_port = ssh->client_port,
                              .server = ssh->server,
                              .server_port = ssh->server_port});
  } else {
    for (const netlink::TcpSocket& socket : sockets->established) {
      if (socket.local_port != kSshPort) continue;
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
