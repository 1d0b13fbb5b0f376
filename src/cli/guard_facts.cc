#include "cli/guard_facts.h"

#include <utility>

#include "net/address_set.h"
#include "netlink/machine.h"
#include "observe/ssh_service.h"
#include "observe/this_host.h"

namespace rolewall::cli {

Result<apply::GuardFacts> guard_facts(const policy::Policy& policy) {
  apply::GuardFacts facts;
  auto machine = observe::this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  facts.machine = std::move(*machine);
  const auto links = netlink::read_machine();
  if (!links) return std::unexpected(links.error());
  facts.leases_ipv4 = links->leases_ipv4;
  auto ssh = observe::ssh_service();
  if (!ssh) return std::unexpected(std::move(ssh).error());

  facts.ssh_ports = std::move(ssh->ports);
  for (const observe::SshConnection& session : ssh->sessions) {
    facts.sessions.push_back({.client = session.client,
                              .client_port = session.client_port,
                              .server = session.server,
                              .server_port = session.server_port});
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
