#include "apply/machine_facts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "apply/ways.h"
#include "net/address_set.h"
#include "netlink/machine.h"
#include "netlink/sockets.h"
#include "observe/lease_servers.h"
#include "observe/legacy_tables.h"
#include "observe/listener_queries.h"
#include "observe/relays.h"
#include "observe/routing.h"
#include "observe/socket_owners.h"
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
  const Endpoint& from = (*flow)->from;
  const Endpoint& to = (*flow)->to;
  if (from != Endpoint{ssh.client, ssh.client_port}) session.sent_from = from;
  if (to != Endpoint{ssh.server, ssh.server_port}) session.sent_to = to;
  return session;
}

std::string remark_on(const observe::SshService& ssh) {
  if (ssh.is_inherited) {
    return fmt::format(
        "SSH_CONNECTION names the session from {}, but this command does not run below it (tmux, "
        "screen): whoever types may have come by another; checked: all {} ssh sessions that are "
        "open",
        net::format(ssh.sessions.front().client), ssh.sessions.size());
  }
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

// Whether what is known of a guest comes to it from elsewhere. What goes back by the same link does
// not, but where that is a bridge which passes it on from another port.
bool comes_from_elsewhere(observe::ForwardedFlow& flow, const net::Address& guest,
                          const std::string& link, const Ways& ways, const GuardFacts& facts) {
  const net::Address& other = flow.from.address == guest ? flow.to.address : flow.from.address;
  const auto there = ways.with(other);
  if (there.empty() || there.front().out == "lo") return false;
  if (there.front().out != link) return true;
  const bool passes_on = std::ranges::find(facts.bridges, link) != facts.bridges.end();
  if (!passes_on || flow.comes_to.address != guest) return false;
  flow.bridge = link;
  return true;
}

// Sessions that come from within this machine, or through what is within, or from a bridge's ports.
void add_guests(GuardFacts& facts, const std::vector<std::string>& inward) {
  const Ways ways(facts);
  std::set<net::Address> known;
  const auto is_one_of = [](const std::vector<std::string>& devices, const std::string& device) {
    return std::ranges::find(devices, device) != devices.end();
  };
  for (const Session& session : facts.sessions) {
    for (const Way& way : ways.with(session.client, session.device)) {
      const bool is_inward = is_one_of(inward, way.out);
      if (way.need != Need::Certain || (!is_inward && !is_one_of(facts.bridges, way.out))) continue;
      const auto beyond = ways.router_towards(session.client);
      const net::Address guest = beyond.value_or(session.client);
      if (!known.insert(guest).second) continue;
      observe::Relay relay = observe::relay_of_guest(guest);
      relay.is_passed = is_inward && beyond.has_value();
      relay.what = fmt::format(
          "{}, a container or a virtual machine by {}, from which or through "
          "which the session from {} comes",
          net::format(guest), way.out, net::format(session.client));
      std::erase_if(relay.forwarded, [&](observe::ForwardedFlow& flow) {
        return !comes_from_elsewhere(flow, guest, way.out, ways, facts);
      });
      // Who is on a bridge need not be on this machine.
      if (!is_inward) relay.flows.clear();
      if (is_inward || !relay.forwarded.empty()) facts.relays.push_back(std::move(relay));
    }
  }
}

}  // namespace

void narrow_relays(GuardFacts& facts) {
  constexpr std::size_t kMost = 32;
  const net::AddressSet managers = net::AddressSet::from(facts.management);
  const auto narrow = [&](auto& flows, const auto& of) {
    if (flows.size() <= 1) return;
    const auto is_managers = [&](const auto& flow) { return managers.contains(of(flow)); };
    if (std::ranges::any_of(flows, is_managers)) {
      std::erase_if(flows, [&](const auto& flow) { return !is_managers(flow); });
    }
    flows.resize(std::min(flows.size(), kMost));
  };
  const auto remote = [](const observe::OuterFlow& flow) { return flow.remote; };
  for (observe::Tunnel& tunnel : facts.tunnels) narrow(tunnel.relayed, remote);
  for (observe::Relay& relay : facts.relays) {
    narrow(relay.flows, remote);
    narrow(relay.forwarded, [](const observe::ForwardedFlow& flow) { return flow.from.address; });
  }
}

Result<GuardFacts> machine_facts() {
  GuardFacts facts;
  auto machine = observe::this_host();
  if (!machine) return std::unexpected(std::move(machine).error());
  facts.machine = std::move(*machine);
  // Where rules choose among routes the guard itself tries each way.
  facts.machine.has_routing_rules = false;
  auto links = netlink::read_machine();
  if (!links) return std::unexpected(std::move(links).error());
  facts.possible_routes = std::move(links->possible_routes);
  facts.leases = std::move(links->leases);
  facts.lease_servers = observe::lease_servers(facts.leases);
  facts.advertised = std::move(links->advertised);
  facts.learned = std::move(links->learned);
  facts.ports = std::move(links->ports);
  facts.guests = std::move(links->guests);
  facts.own_ends = std::move(links->own_ends);
  if (observe::asks_about_bridged()) facts.bridges = std::move(links->bridges);
  facts.queried = observe::queried_devices(facts.machine);
  facts.strict = strict_devices(facts.machine);
  facts.sees_processes = observe::sees_processes();
  const auto ssh = observe::ssh_service();
  if (!ssh) return std::unexpected(ssh.error());
  for (const observe::SshDoor& door : ssh->doors) {
    facts.ssh_doors.push_back({door.address, door.port});
  }
  facts.ssh_within = ssh->only_within;
  for (const observe::SshConnection& session : ssh->sessions) {
    facts.sessions.push_back(session_of(session));
  }
  for (const observe::SshConnection& other : ssh->others) {
    facts.other_clients.push_back(other.client);
  }
  if (std::string remark = remark_on(*ssh); !remark.empty()) {
    facts.remarks.push_back(std::move(remark));
  }
  if (std::string remark = observe::remark_on_legacy(observe::legacy_tables()); !remark.empty()) {
    facts.remarks.push_back(std::move(remark));
  }
  auto tunnels = observe::tunnels();
  if (!tunnels) return std::unexpected(std::move(tunnels).error());
  facts.tunnels = std::move(*tunnels);
  facts.relays = observe::relays(*ssh);
  add_guests(facts, links->inward);
  facts.routing = observe::routing(facts.machine);
  return facts;
}

}  // namespace rolewall::apply
