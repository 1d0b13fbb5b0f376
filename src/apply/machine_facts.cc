#include "apply/machine_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "netlink/machine.h"
#include "netlink/sockets.h"
#include "observe/ssh_service.h"
#include "observe/surroundings.h"
#include "observe/this_host.h"
#include "observe/tunnels.h"

namespace rolewall::apply {
namespace {

Session session_of(const observe::SshConnection& ssh) {
  Session session{.client = ssh.client,
                  .client_port = ssh.client_port,
                  .server = ssh.server,
                  .server_port = ssh.server_port};
  session.device = ssh.device;
  const auto flow = netlink::read_original_flow({.local = ssh.server,
                                                 .local_port = ssh.server_port,
                                                 .remote = ssh.client,
                                                 .remote_port = ssh.client_port});
  if (!flow || !*flow) return session;
  const Endpoint from{(*flow)->from.address, (*flow)->from.port};
  const Endpoint to{(*flow)->to.address, (*flow)->to.port};
  if (from != Endpoint{ssh.client, ssh.client_port}) session.sent_from = from;
  if (to != Endpoint{ssh.server, ssh.server_port}) session.sent_to = to;
  return session;
}

std::string remark_on(const observe::SshService& ssh) {
  if (!ssh.is_over) return "";
  if (ssh.kind == observe::SessionKind::Claimed) {
    return "SSH_CONNECTION names a session that is not open here, nor is any other ssh session; it "
           "is checked all the same";
  }
  return fmt::format(
      "SSH_CONNECTION names a session that is over (tmux, screen and nohup keep the variable); "
      "checked instead: the ssh sessions that are open ({}), the first of them from {}",
      ssh.sessions.size(), net::format(ssh.sessions.front().client));
}

// The kernel takes the greater of the setting for all and the device's.
std::vector<std::string> strict_devices(const ruleset::Host& machine) {
  constexpr unsigned kStrict = 1;
  const observe::KernelSettings settings = observe::read_kernel_settings(machine);
  std::vector<std::string> strict;
  for (const observe::DeviceSettings& device : settings.devices) {
    if (std::max(settings.all.rp_filter, device.rp_filter) == kStrict) {
      strict.push_back(device.device);
    }
  }
  return strict;
}

}  // namespace

Result<GuardFacts> machine_facts() {
  GuardFacts facts;
  auto machine = observe::this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  facts.machine = std::move(*machine);
  auto links = netlink::read_machine();
  if (!links) return std::unexpected(std::move(links).error());
  facts.leases = std::move(links->leases);
  facts.advertised = std::move(links->advertised);
  facts.strict = strict_devices(facts.machine);
  const auto ssh = observe::ssh_service();
  if (!ssh) return std::unexpected(ssh.error());
  for (const observe::SshDoor& door : ssh->doors) {
    facts.ssh_doors.push_back({door.address, door.port});
  }
  for (const observe::SshConnection& session : ssh->sessions) {
    facts.sessions.push_back(session_of(session));
  }
  for (const observe::SshConnection& other : ssh->others) {
    facts.other_clients.push_back(other.client);
  }
  if (std::string remark = remark_on(*ssh); !remark.empty()) {
    facts.remarks.push_back(std::move(remark));
  }
  auto tunnels = observe::tunnels();
  if (!tunnels) return std::unexpected(std::move(tunnels).error());
  facts.tunnels = std::move(*tunnels);
  if (auto carrier = observe::carrier_over_loopback(ssh->sessions)) {
    facts.tunnels.push_back(std::move(*carrier));
  }
  return facts;
}

}  // namespace rolewall::apply
