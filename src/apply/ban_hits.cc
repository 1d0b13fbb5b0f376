#include "apply/ban_hits.h"

#include <fmt/format.h>

#include "apply/recorded_facts.h"
#include "net/address_set.h"
#include "observe/resolvers.h"
#include "observe/session.h"

namespace rolewall::apply {

Result<std::vector<std::string>> whom_it_hits(const net::Prefix& banned,
                                              const std::string& state_directory) {
  const auto facts = recorded_facts(state_directory);
  if (!facts) return std::unexpected(facts.error());
  const net::AddressSet hit = net::AddressSet::from({banned});
  std::vector<std::string> found;
  const auto look = [&](const net::Address& address, const std::string& whose) {
    if (hit.contains(address)) found.push_back(fmt::format("{}, {}", whose, net::format(address)));
  };
  const auto here = observe::ssh_connection();
  for (const Session& session : facts->sessions) {
    const bool own = here && here->client == session.client;
    look(session.client, own ? "the address that this session comes from"
                             : "the address that an ssh session comes from");
    if (session.sent_from) {
      look(session.sent_from->address,
           "the address that an ssh session comes from, before "
           "address translation");
    }
  }
  for (const net::Address& client : facts->other_clients) {
    look(client, "the address that another ssh session comes from");
  }
  for (const net::Prefix& own : facts->machine.addresses)
    look(own.address, "an address of this host");
  for (const char* own : {"127.0.0.1", "::1"}) look(*net::parse_address(own), "the loopback");
  if (!(hit & net::AddressSet::from(facts->management)).empty()) {
    found.emplace_back("a management address");
  }
  for (const auto& [name, addresses] : facts->site) {
    if ((hit & net::AddressSet::from(addresses)).empty()) continue;
    found.push_back(fmt::format("an address of {}, a host of this site", name));
  }
  if (facts->machine.routes) {
    for (const ruleset::Route& route : *facts->machine.routes) {
      if (route.gateway) look(*route.gateway, "a router that this host uses");
    }
  }
  for (const net::Address& resolver : observe::resolvers()) {
    look(resolver, "a resolver that this host uses");
  }
  for (const observe::Tunnel& tunnel : facts->tunnels) {
    for (const observe::OuterFlow& flow : tunnel.flows) {
      if (!flow.anybody)
        look(flow.remote, fmt::format("the other end of the tunnel {}", name_of(tunnel)));
    }
  }
  for (const observe::Relay& relay : facts->relays) {
    // Of several one carries the session, nobody says which: those of management are known above.
    if (relay.flows.size() + relay.forwarded.size() != 1) continue;
    const std::string whose = "the other end of what carries the session: " + relay.what;
    for (const observe::OuterFlow& flow : relay.flows) {
      if (!flow.anybody) look(flow.remote, whose);
    }
    for (const observe::ForwardedFlow& flow : relay.forwarded) {
      look(flow.from.address, whose);
      look(flow.to.address, whose);
    }
  }
  for (const observe::Peering& peering : facts->routing.peerings) {
    look(peering.flow.remote, "a router that this host exchanges routes with");
  }
  return found;
}

}  // namespace rolewall::apply
