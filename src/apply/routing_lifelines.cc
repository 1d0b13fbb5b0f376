#include "apply/routing_lifelines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "apply/boundaries.h"
#include "apply/ways.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using observe::OuterFlow;
using observe::Peering;
using observe::SpokenOnLink;

constexpr std::uint8_t kOfTheLink = 255;  // hops: from elsewhere none can have it
// Of neighbours that the rules tell apart on one link.
constexpr std::size_t kMostRouters = 32;

// Nothing here is needed more than what passes today: whom a session's address and route really
// hang on, only the routers know.
class RoutingProtocols {
 public:
  RoutingProtocols(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                   Lifelines& into)
      : facts_(facts), tables_(tables), ways_(facts), into_(into) {
    for (const Session& session : facts.sessions) {
      use(session.client, session.device);
      of_no_link_ = of_no_link_ || is_of_no_link(session.server);
    }
    for (const net::Prefix& management : facts.management) {
      for (const net::Address& client : ends_of(management)) use(client, "");
    }
  }

  void add() {
    const bool routes_matter = learned_ || of_no_link_ || !ways_.is_known();
    for (const SpokenOnLink& spoken : facts_.routing.on_links) {
      const bool matters = spoken.is_of_address ? used_.contains(spoken.device) : routes_matter;
      if (matters) add(spoken);
    }
    for (const Peering& peering : facts_.routing.peerings) {
      if (routes_matter || peering.is_of_address) add(peering);
    }
    if (!routes_matter) return;
    for (const std::string& unseen : facts_.routing.unseen) {
      into_.unasked.push_back({.what = unseen + ", which a program of this host speaks",
                               .how = "with whom cannot be seen, so it was not checked",
                               .may_be_risked = true});
    }
  }

 private:
  void use(const net::Address& client, const std::string& link) {
    for (const Way& way : ways_.with(client, link)) {
      if (!way.off_route) used_.insert(way.out);
    }
    learned_ = learned_ || std::ranges::any_of(facts_.learned, [&](const net::Prefix& network) {
                 return net::AddressSet::from({network}).contains(client);
               });
  }

  // The neighbours do not know of it unless they are told: as a service's address on the loopback.
  bool is_of_no_link(const net::Address& own) const {
    if (!ways_.is_own(own) || eval::is_link_local(own) || net::is_loopback(own)) return false;
    return std::ranges::none_of(facts_.machine.interfaces, [&](const ruleset::Interface& each) {
      const auto there = ways_.networks_on(each.device, !net::is_ipv4(own));
      return net::AddressSet::from(there).contains(own);
    });
  }

  void add(const SpokenOnLink& spoken) {
    const bool ipv6 = !net::is_ipv4(spoken.group);
    const std::string what = fmt::format("{} on {}", spoken.name, spoken.device);
    const Way way{.in = spoken.device, .out = spoken.device};
    for (const net::Address& own : ways_.own_on(spoken.device, ipv6)) {
      if (ipv6 && !eval::is_link_local(own)) continue;  // RFC 5340, 2.5; RFC 5798, 5.1.2.2
      const Leg out = packet(spoken, false, own, spoken.group);
      put(what + ", what this host tells", out, "outbound", spoken, "", way);
      break;  // the first address is the one that it speaks by
    }
    const std::set<net::Address> known = heard(spoken, ipv6);
    for (const net::Address& neighbour : known) {
      const Leg in = packet(spoken, true, neighbour, spoken.group);
      put(fmt::format("{}, what {} tells", what, net::format(neighbour)), in, "inbound", spoken, "",
          way);
    }
    for (const net::Address& neighbour : neighbours(spoken.device, ipv6)) {
      if (known.contains(neighbour)) continue;
      const Leg in = packet(spoken, true, neighbour, spoken.group);
      put(what + ", what neighbours tell", in, "inbound", spoken, what, way);
    }
  }

  // Who is known to speak it there.
  std::set<net::Address> heard(const SpokenOnLink& spoken, bool ipv6) const {
    std::vector<net::Prefix> networks = ways_.networks_on(spoken.device, ipv6);
    if (ipv6) networks.push_back({*net::parse_address("fe80::"), 64});
    const net::AddressSet there = net::AddressSet::from(networks);
    std::set<net::Address> found;
    for (const observe::Neighbour& each : facts_.routing.neighbours) {
      if (each.name == spoken.name && there.contains(each.address)) found.insert(each.address);
    }
    return found;
  }

  static Leg packet(const SpokenOnLink& spoken, bool arrives, const net::Address& from,
                    const net::Address& to) {
    Leg leg{.arrives = arrives, .fields = {}, .device = spoken.device};
    leg.fields.protocol = spoken.protocol;
    leg.fields.source = from;
    leg.fields.destination = to;
    leg.fields.source_port = leg.fields.destination_port = spoken.port;
    leg.fields.ttl = kOfTheLink;
    return leg;
  }

  // `one_of`: who the neighbours are that speak it is not known.
  void put(const std::string& what, const Leg& leg, const char* direction,
           const SpokenOnLink& spoken, const std::string& one_of, const Way& way) {
    Lifeline line{.what = what, .legs = {leg}};
    line.advice = fmt::format(R"(an [[{}]] rule with service = "{}" would)", direction,
                              service_of(spoken.protocol, spoken.port));
    line.kind = what;
    line.need = one_of.empty() ? Need::Possible : need_of_neighbour(leg);
    line.one_of = one_of;
    rolewall::apply::put(into_, std::move(line), way);
  }

  // Who is a router for certain.
  Need need_of_neighbour(const Leg& leg) const {
    const auto routers = ways_.routers_on(leg.device, !net::is_ipv4(leg.fields.source));
    const bool is_router = std::ranges::find(routers, leg.fields.source) != routers.end();
    return is_router && learned_ ? Need::Possible : Need::OneOfMany;
  }

  // Routers, the ends of the link's networks, and whom the rules tell apart there.
  std::vector<net::Address> neighbours(const std::string& device, bool ipv6) const {
    std::vector<net::Prefix> networks = ways_.networks_on(device, ipv6);
    if (ipv6) networks = {{*net::parse_address("fe80::"), 64}};
    const net::AddressSet within = net::AddressSet::from(networks);
    std::set<net::Address> found;
    for (const net::Address& router : ways_.routers_on(device, ipv6)) found.insert(router);
    for (const net::Prefix& network : networks) {
      for (const net::Address& end : ends_of(network)) found.insert(end);
    }
    for (const ruleset::Table* table : tables_) {
      if (networks.empty()) break;
      for (const net::Address& each : addresses_told_apart(*table, within)) {
        if (found.size() < kMostRouters) found.insert(each);
      }
    }
    std::erase_if(found, [&](const net::Address& each) { return ways_.is_own(each); });
    return {found.begin(), found.end()};
  }

  void add(const Peering& peering) {
    const std::string what =
        fmt::format("{} with {}", peering.name, net::format(peering.flow.remote));
    for (const Way& way : ways_.with(peering.flow.remote)) {
      if (way.off_route) continue;
      if (peering.flow.draws_ports) {
        add_each_way(what, peering.flow, way);
      } else {
        add_connection(what, peering.flow, way);
      }
    }
  }

  void add_each_way(const std::string& what, const OuterFlow& flow, const Way& way) {
    const auto own = ways_.own_towards(flow.remote, way.out);
    if (!own) return;
    Leg in{.arrives = true, .fields = {}, .device = way.in};
    in.fields.protocol = flow.protocol;
    in.fields.source = flow.remote;
    in.fields.destination = *own;
    in.fields.source_port = kDrawnPort;
    in.fields.destination_port = flow.local_port;
    in.fields.ttl = kOfTheLink;
    Leg out = in;
    out.arrives = false;
    out.device = way.out;
    std::swap(out.fields.source, out.fields.destination);
    for (const Leg& leg : {in, out}) {
      Lifeline line{.what = what + (leg.arrives ? ", what it tells" : ", what this host tells"),
                    .legs = {leg},
                    .need = Need::Possible};
      line.advice = admitting(flow, flow.local_port, leg.arrives);
      rolewall::apply::put(into_, std::move(line), way);
    }
  }

  static std::string admitting(const OuterFlow& flow, std::uint16_t port, bool inbound) {
    return fmt::format(R"(an [[{}]] rule with service = "{}" and {} = "{}" would)",
                       inbound ? "inbound" : "outbound", service_of(flow.protocol, port),
                       inbound ? "from" : "to", net::format(flow.remote));
  }

  // Open, and opened again by who has opened it.
  void add_connection(const std::string& what, const OuterFlow& flow, const Way& way) {
    Leg in{.arrives = true, .fields = {}, .device = way.in};
    in.fields.source = flow.remote;
    in.fields.destination = flow.local;
    in.fields.source_port = flow.remote_port;
    in.fields.destination_port = flow.local_port;
    for (Leg open : {in, turned(in, way.out)}) {
      open.state = ruleset::ct_state::kEstablished;
      open.fields.tcp_flags = tcp::kAck;
      rolewall::apply::put(into_, {.what = what, .legs = {open}, .need = Need::Possible}, way);
    }
    Leg first = in;
    if (!flow.opened_by_peer) first = turned(in, way.out);
    first.fields.tcp_flags = tcp::kSyn;
    Lifeline line{.what = what + ", a new connection",
                  .legs = {first, turned(first, way.in, tcp::kSynAck)},
                  .need = Need::Possible};
    line.advice = admitting(flow, first.fields.destination_port, flow.opened_by_peer);
    rolewall::apply::put(into_, std::move(line), way);
  }

  const GuardFacts& facts_;
  const std::vector<const ruleset::Table*>& tables_;
  Ways ways_;
  Lifelines& into_;
  std::set<std::string> used_;
  bool learned_ = false;     // a routing protocol knows the way to somebody who administers
  bool of_no_link_ = false;  // or who administers came to an address that only it tells
};

}  // namespace

void add_routing_lifelines(const GuardFacts& facts,
                           const std::vector<const ruleset::Table*>& tables, Lifelines& into) {
  const observe::Routing& spoken = facts.routing;
  if (spoken.on_links.empty() && spoken.peerings.empty() && spoken.unseen.empty()) return;
  RoutingProtocols(facts, tables, into).add();
}

}  // namespace rolewall::apply
