#include "apply/ban_hits.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "apply/recorded_facts.h"
#include "apply/tunnel_lifelines.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "observe/resolvers.h"
#include "observe/session.h"

namespace rolewall::apply {
namespace {

// Of the sessions that are open: who manages from elsewhere is no reason to let somebody in.
std::vector<std::string> carriers_not_found(GuardFacts facts) {
  facts.management.clear();
  Lifelines lines;
  add_tunnel_lifelines(facts, {}, lines);
  std::vector<std::string> found;
  const auto put = [&](const std::string& what) {
    if (std::ranges::find(found, what) == found.end()) found.push_back(what);
  };
  for (const Unasked& each : lines.unasked) {
    put(each.what);
  }
  for (const Lifeline& line : lines.all) {
    if (line.of_anybody) put(line.kind);
  }
  return found;
}

// Whether something is open with the addresses that may carry a tunnel; by TCP few do, and all that
// attacks does.
Result<bool> may_carry(const net::AddressSet& banned) {
  const auto flows =
      netlink::read_flows_with([&](const net::Address& each) { return banned.contains(each); });
  if (!flows) return std::unexpected(flows.error());
  return std::ranges::any_of(*flows, [](const netlink::TrackedFlow& flow) {
    return flow.protocol != net::protocol::kTcp && flow.protocol != net::protocol::kIcmp &&
           flow.protocol != net::protocol::kIcmpv6;
  });
}

// Of several one carries the session, nobody says which: those of management are known otherwise.
// By TCP whoever attacks may be another. UDP to a relay is a tunnel's, which answers whom it knows.
void look_at_carriers(const net::AddressSet& banned, const std::string& what,
                      const std::vector<observe::OuterFlow>& flows, std::size_t count,
                      BanHits& hits) {
  constexpr std::size_t kFew = 8;
  for (const observe::OuterFlow& flow : flows) {
    if (flow.anybody || !banned.contains(flow.remote)) continue;
    const bool is_it = count == 1 || (flow.protocol == net::protocol::kUdp && count <= kFew);
    if (is_it) {
      hits.hit.push_back(fmt::format("the other end of what carries the session: {}, {}", what,
                                     net::format(flow.remote)));
    } else {
      hits.may_hit.push_back(fmt::format("{} of the {} that may carry the session: {}",
                                         net::format(flow.remote), count, what));
    }
  }
}

// The routers, resolvers and servers that this host's addresses, routes and names hang on.
Result<void> look_at_helpers(
    const GuardFacts& facts, const net::AddressSet& banned,
    const std::function<void(const net::Address&, const std::string&)>& look) {
  for (const ruleset::Route& route : facts.possible_routes) {
    if (route.gateway) look(*route.gateway, "a router that this host uses");
  }
  for (const net::Address& resolver : observe::resolvers()) {
    look(resolver, "a resolver that this host uses");
  }
  const auto asked = observe::asked_by_own_resolver();
  if (!asked) return std::unexpected(asked.error());
  for (const net::Address& each : *asked) {
    if (banned.contains(each)) {
      look(each, "a server that this host's own resolver asks");
      break;  // of many questions
    }
  }
  for (const net::Address& server : facts.lease_servers) {
    look(server, "the server that this host's address is lent by (DHCP)");
  }
  for (const observe::Peering& peering : facts.routing.peerings) {
    look(peering.flow.remote,
         peering.is_of_address
             ? fmt::format("a host that shares an address with this one ({})", peering.name)
             : std::string("a router that this host exchanges routes with"));
  }
  for (const observe::Neighbour& neighbour : facts.routing.neighbours) {
    look(neighbour.address,
         fmt::format("a neighbour that this host speaks {} with", neighbour.name));
  }
  return {};
}

}  // namespace

Result<BanHits> whom_it_hits(const net::Prefix& banned, const std::string& state_directory) {
  const auto facts = recorded_facts(state_directory);
  if (!facts) return std::unexpected(facts.error());
  const net::AddressSet hit = net::AddressSet::from({banned});
  BanHits hits;
  std::vector<std::string>& found = hits.hit;
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
  TRY(look_at_helpers(*facts, hit, look));
  for (const observe::Tunnel& tunnel : facts->tunnels) {
    for (const observe::OuterFlow& flow : tunnel.flows) {
      if (!flow.anybody)
        look(flow.remote, fmt::format("the other end of the tunnel {}", name_of(tunnel)));
    }
    look_at_carriers(hit, fmt::format("what relays the tunnel {}", name_of(tunnel)), tunnel.relayed,
                     tunnel.relayed.size(), hits);
  }
  for (const observe::Relay& relay : facts->relays) {
    const std::size_t count = relay.flows.size() + relay.forwarded.size();
    look_at_carriers(hit, relay.what, relay.flows, count, hits);
    if (count != 1) continue;
    for (const observe::ForwardedFlow& flow : relay.forwarded) {
      const std::string whose = "the other end of what carries the session: " + relay.what;
      look(flow.from.address, whose);
      look(flow.to.address, whose);
    }
  }
  hits.not_found = carriers_not_found(*facts);
  if (hits.not_found.empty()) return hits;
  const auto carries = may_carry(hit);
  if (!carries) return std::unexpected(carries.error());
  if (*carries) {
    hits.hit.push_back(
        "an address with which UDP or a tunnel's protocol is open, and what carries " +
        hits.not_found.front() + " cannot be found");
  }
  return hits;
}

}  // namespace rolewall::apply
