#include "apply/link_lifelines.h"

#include <fmt/format.h>
#include <net/if_arp.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "apply/boundaries.h"
#include "apply/ways.h"
#include "eval/route.h"
#include "net/address_set.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

// ICMPv6 types.
constexpr std::uint8_t kListenerQuery = 130;
constexpr std::uint8_t kListenerReport = 143;
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kRouterAdvertisement = 134;
constexpr std::uint8_t kSolicitation = 135;
constexpr std::uint8_t kAdvertisement = 136;

constexpr const char* kAllNodes = "ff02::1";
constexpr const char* kAllRouters = "ff02::2";
constexpr const char* kListenersTo = "ff02::16";
constexpr const char* kDhcpServers = "ff02::1:2";
constexpr const char* kBaseline = R"(use = ["baseline"] in the host's role would)";
constexpr const char* kDhcpClient = R"(use = ["dhcp-client"] in the host's role would)";
// Of the addresses that a rule tells apart on one link.
constexpr std::size_t kMostNeighbours = 64;

net::Address literal(const char* text) {
  return *net::parse_address(text);
}

// RFC 4291, 2.7.1: the last 24 bits behind ff02::1:ff00:0/104.
net::Address solicited_node(const net::Address& address) {
  auto bytes = net::to_bytes(std::get<net::Ipv6>(literal("ff02::1:ff00:0")));
  const auto last = net::to_bytes(std::get<net::Ipv6>(address));
  std::copy(last.end() - 3, last.end(), bytes.end() - 3);
  return net::ipv6_from_bytes(bytes.data());
}

class Links {
 public:
  Links(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables, Lifelines& into)
      : facts_(facts), ways_(facts), into_(into) {
    // Of a network's own addresses single ones may be shut out on purpose, but no administrator's.
    const net::Prefix links{literal("fe80::"), 64};
    std::vector<net::Prefix> asked{links};
    std::ranges::copy_if(facts.management, std::back_inserter(asked),
                         [](const net::Prefix& each) { return !net::is_ipv4(each.address); });
    const net::AddressSet within = net::AddressSet::from(asked);
    for (const ruleset::Table* table : tables) {
      for (const net::Address& address : addresses_told_apart(*table, within)) {
        const bool has_room = told_apart_.size() < kMostNeighbours;
        if (address != links.address && has_room) told_apart_.insert(address);
      }
    }
    for (const Session& session : facts.sessions) {
      use(session.client, session.device);
      is_ipv6_managed_ = is_ipv6_managed_ || !net::is_ipv4(session.client);
    }
    for (const net::Prefix& management : facts.management) {
      for (const net::Address& client : ends_of(management)) use(client, "");
      is_ipv6_managed_ = is_ipv6_managed_ || !net::is_ipv4(management.address);
    }
    for (const observe::Tunnel& tunnel : facts.tunnels) {
      const bool is_used = std::ranges::any_of(
          tunnel.devices, [&](const std::string& device) { return used_.contains(device); });
      if (!is_used && !tunnel.devices.empty()) continue;
      use(tunnel.flows);
      use(tunnel.relayed);
    }
    for (const observe::Relay& relay : facts.relays) {
      use(relay.flows);
      for (const observe::ForwardedFlow& flow : relay.forwarded) {
        use(flow.from.address, "");
        use(flow.comes_to.address, "");
      }
    }
  }

  void add() {
    for (const ruleset::Interface& interface : facts_.machine.interfaces) {
      const std::string& device = interface.device;
      const bool is_port = std::ranges::find(facts_.ports, device) != facts_.ports.end();
      if (interface.hardware_type != ARPHRD_ETHER || is_port) continue;
      need_ = need_of_neighbours(device);
      if (ways_.own_on(device, true).empty()) continue;
      add_neighbours(device);
      if (std::ranges::find(facts_.queried, device) != facts_.queried.end()) add_listeners(device);
    }
    std::set<std::string> advertised(facts_.advertised.begin(), facts_.advertised.end());
    for (const netlink::Lease& lease : facts_.leases) {
      const bool ipv6 = !net::is_ipv4(lease.address.address);
      // An address of a whole network's length comes from an advertised prefix (RFC 4862, 5.5.3),
      // a single one from DHCPv6.
      need_ = need_of(lease.device, ipv6);
      if (!ipv6) {
        add_dhcp(lease);
      } else if (lease.address.length == net::address_bits(lease.address.address)) {
        add_dhcpv6(lease);
      } else {
        advertised.insert(lease.device);
      }
    }
    for (const std::string& device : advertised) {
      need_ = need_of(device, true);
      add_advertisements(device);
    }
  }

 private:
  // Routers, and on-link prefixes beside fe80::/10.
  struct Surroundings {
    std::vector<net::Address> routers;
    std::vector<net::Prefix> networks;
  };
  Surroundings around(const std::string& device) const {
    return {.routers = ways_.routers_on(device, true), .networks = ways_.networks_on(device, true)};
  }

  // Devices by which somebody certainly comes. What is IPv4 may go to a router of IPv6 (RFC 8950).
  void use(const net::Address& who, const std::string& link) {
    const auto is_ipv6 = [](const net::Address& each) { return !net::is_ipv4(each); };
    for (const Way& way : ways_.with(who, link)) {
      if (way.need != Need::Certain) continue;
      used_.insert(way.out);
      const auto routers = ways_.routers_towards(who, way.out);
      if (is_ipv6(who) || std::ranges::any_of(routers, is_ipv6)) used_by_ipv6_.insert(way.out);
    }
  }
  void use(const std::vector<observe::OuterFlow>& flows) {
    for (const observe::OuterFlow& flow : flows) {
      if (!net::is_multicast(flow.remote)) use(flow.remote, "");
    }
  }

  Need need_of(const std::string& device, bool ipv6) const {
    if ((ipv6 ? used_by_ipv6_ : used_).contains(device)) return Need::Certain;
    return ways_.is_unlikely(device) ? Need::Unlikely : Need::Possible;
  }

  // Each link has IPv6 by itself; where there is no more than that, and nobody uses it, nobody
  // speaks it.
  Need need_of_neighbours(const std::string& device) const {
    const Need need = need_of(device, true);
    const bool is_spoken = is_ipv6_managed_ || ways_.has_more_than_link_locals(device);
    return need == Need::Possible && !is_spoken ? Need::Unlikely : need;
  }

  // Who may be on the link: routers, the ends of its networks, whom the rules tell apart of the
  // administrators and of link-local addresses, and the sessions' own clients.
  std::set<net::Address> neighbours(const std::string& device, bool link_local_alone) const {
    const net::Prefix links{literal("fe80::"), 64};
    Surroundings there = around(device);
    if (link_local_alone) there.networks.clear();
    there.networks.push_back(links);
    std::set<net::Address> found{literal("fe80::2")};
    for (const net::Address& router : there.routers) {
      if (!link_local_alone || eval::is_link_local(router)) found.insert(router);
    }
    for (const net::Prefix& network : there.networks) {
      for (const net::Address& end : ends_of(network)) found.insert(end);
    }
    const net::AddressSet on_link = net::AddressSet::from(there.networks);
    const auto insert = [&](const net::Address& each) {
      if (!net::is_ipv4(each) && on_link.contains(each)) found.insert(each);
    };
    for (const net::Address& each : told_apart_) insert(each);
    for (const Session& session : facts_.sessions) insert(session.client);
    for (const net::Prefix& management : facts_.management) {
      for (const net::Address& end : ends_of(management)) insert(end);
    }
    std::erase_if(found, [&](const net::Address& each) { return ways_.is_own(each); });
    return found;
  }

  static Leg icmpv6(bool arrives, std::uint8_t type, const net::Address& from,
                    const net::Address& to, const std::string& device) {
    constexpr std::uint8_t kHopLimit = 255;  // others are no neighbour's (RFC 4861, 7.1)
    Leg leg{.arrives = arrives, .fields = {}, .device = device};
    leg.fields.protocol = net::protocol::kIcmpv6;
    leg.fields.source = from;
    leg.fields.destination = to;
    leg.fields.icmp_type = type;
    leg.fields.ttl = kHopLimit;
    return leg;
  }

  void put(const std::string& what, std::vector<Leg> legs, const char* advice) {
    Lifeline line{.what = what, .legs = std::move(legs), .advice = advice};
    line.kind = what.substr(0, what.find_last_of(' '));
    line.need = need_;
    line.stands_for_all = kinds_.insert(line.kind).second;
    into_.all.push_back(std::move(line));
  }

  // RFC 4861: a solicitation comes from any address of the neighbour's (4.3), and goes to the
  // solicited-node group where his link address is not known, to himself where it is confirmed
  // (7.2.2, 7.3.3); an advertisement goes to who asked, or, unasked, to all nodes (4.4, 7.2.6).
  // That the unspecified address asks too is for who looks if his address is free: no session
  // hangs on it.
  void add_neighbours(const std::string& device) {
    const auto owns = ways_.own_on(device, true);
    const auto name = [&](const char* kind, const net::Address& neighbour, const char* way) {
      return fmt::format("IPv6 neighbour {} on {}, {} {}", kind, device, way,
                         net::format(neighbour));
    };
    // There may be a hundred links to containers: one neighbour stands for all of each.
    const std::set<net::Address> others = need_ == Need::Unlikely
                                              ? std::set<net::Address>{literal("fe80::2")}
                                              : neighbours(device, false);
    for (const net::Address& neighbour : others) {
      for (const net::Address& own : owns) {
        const std::string asked = name("solicitations", neighbour, "from");
        for (const net::Address& to : {own, solicited_node(own)}) {
          put(asked, {icmpv6(true, kSolicitation, neighbour, to, device)}, kBaseline);
        }
        const std::string asks = name("solicitations", neighbour, "sent to");
        for (const net::Address& to : {neighbour, solicited_node(neighbour)}) {
          put(asks, {icmpv6(false, kSolicitation, own, to, device)}, kBaseline);
        }
        const std::string told = name("advertisements", neighbour, "from");
        for (const net::Address& to : {own, literal(kAllNodes)}) {
          put(told, {icmpv6(true, kAdvertisement, neighbour, to, device)}, kBaseline);
        }
        put(name("advertisements", neighbour, "sent to"),
            {icmpv6(false, kAdvertisement, own, neighbour, device)}, kBaseline);
      }
    }
  }

  // Where a switch asks who listens, it passes solicitations on to those alone who go on answering.
  // Where it is a router that asks, nothing hangs on it: it is needed as far as it passes today.
  void add_listeners(const std::string& device) {
    need_ = std::max(need_of_neighbours(device), Need::Possible);
    const auto owns = ways_.own_on(device, true);
    const auto own = std::ranges::find_if(owns, eval::is_link_local);
    if (own == owns.end()) return;
    const std::string kind = fmt::format("IPv6 multicast groups on {} (MLD), ", device);
    put(kind + "reports", {icmpv6(false, kListenerReport, *own, literal(kListenersTo), device)},
        kBaseline);
    put(kind + "queries",
        {icmpv6(true, kListenerQuery, literal("fe80::2"), literal(kAllNodes), device)}, kBaseline);
  }

  // RFC 4861, 6.2.6 and 4.1: unasked to all nodes, or to who has asked; without them the route, and
  // the address that comes of an advertised prefix, end with their lifetime.
  void add_advertisements(const std::string& device) {
    std::vector<net::Address> owns;
    for (const net::Address& own : ways_.own_on(device, true)) {
      if (eval::is_link_local(own)) owns.push_back(own);
    }
    for (const net::Address& router : neighbours(device, true)) {
      std::vector<net::Address> to = owns;
      to.push_back(literal(kAllNodes));
      for (const net::Address& each : to) {
        put(fmt::format("IPv6 router advertisements on {}, from {}", device, net::format(router)),
            {icmpv6(true, kRouterAdvertisement, router, each, device)}, kBaseline);
      }
    }
    for (const net::Address& own : owns) {
      put(fmt::format("IPv6 router solicitations on {}", device),
          {icmpv6(false, kRouterSolicitation, own, literal(kAllRouters), device)}, kBaseline);
    }
  }

  static Leg datagram(bool arrives, const Endpoint& from, const Endpoint& to,
                      const std::string& device) {
    Leg leg{.arrives = arrives, .fields = {}, .device = device};
    leg.fields.protocol = net::protocol::kUdp;
    leg.fields.source = from.address;
    leg.fields.destination = to.address;
    leg.fields.source_port = from.port;
    leg.fields.destination_port = to.port;
    return leg;
  }

  // RFC 2131, 4.4.5: the lease is renewed with the server that gave it, whose answer is one to
  // connection tracking, and where he does not answer by a broadcast, from the address that it
  // gave. (Whoever takes the answer to the broadcast does so before any rule, from a packet
  // socket: to the kernel the address is about to go.)
  void add_dhcp(const netlink::Lease& lease) {
    constexpr std::uint16_t kServer = 67;
    constexpr std::uint16_t kClient = 68;
    const net::Address& own = lease.address.address;
    const std::string what = fmt::format("the DHCP lease of {}", net::format(own));
    const Endpoint everybody{literal("255.255.255.255"), kServer};
    put(what, {datagram(false, {own, kClient}, everybody, lease.device)}, kDhcpClient);
    for (const net::Address& server : servers_of(lease)) {
      Leg answer = datagram(true, {server, kServer}, {own, kClient}, lease.device);
      answer.state = ruleset::ct_state::kEstablished;
      put(what + " (answers)", {answer}, kDhcpClient);
    }
    // Who does not answer is passed over in the end: needed as far as it passes today.
    const Need need = std::exchange(need_, std::max(need_, Need::Possible));
    for (const net::Address& server : facts_.lease_servers) {
      if (!net::is_ipv4(server)) continue;
      const Leg asks = datagram(false, {own, kClient}, {server, kServer}, lease.device);
      put(fmt::format("{} (renewed with {})", what, net::format(server)),
          {asks, turned(asks, lease.device)}, kDhcpClient);
    }
    need_ = need;
  }

  // Where it is not known who has given it, the router, most often.
  std::vector<net::Address> servers_of(const netlink::Lease& lease) const {
    std::vector<net::Address> known;
    std::ranges::copy_if(facts_.lease_servers, std::back_inserter(known), net::is_ipv4);
    if (!known.empty()) return known;
    if (facts_.machine.routes) {
      for (const ruleset::Route& route : *facts_.machine.routes) {
        if (route.device == lease.device && route.gateway && net::is_ipv4(*route.gateway)) {
          return {*route.gateway};
        }
      }
    }
    const auto bytes = net::to_bytes(lease.address.address);
    return {net::Ipv4{net::ipv4_from_bytes(bytes.data()).value ^ 1U}};
  }

  // RFC 8415, 18.2.4: asked of a group, and answered by the server himself or a relay, which to
  // connection tracking is no answer.
  void add_dhcpv6(const netlink::Lease& lease) {
    constexpr std::uint16_t kServer = 547;
    constexpr std::uint16_t kClient = 546;
    const std::string what =
        fmt::format("the DHCPv6 lease of {}", net::format(lease.address.address));
    for (const net::Address& own : ways_.own_on(lease.device, true)) {
      if (!eval::is_link_local(own)) continue;
      put(what, {datagram(false, {own, kClient}, {literal(kDhcpServers), kServer}, lease.device)},
          kDhcpClient);
      std::set<net::Address> servers = neighbours(lease.device, true);
      for (const net::Address& known : facts_.lease_servers) {
        if (!net::is_ipv4(known)) servers.insert(known);
      }
      for (const net::Address& server : servers) {
        put(fmt::format("{} (answers, from {})", what, net::format(server)),
            {datagram(true, {server, kServer}, {own, kClient}, lease.device)}, kDhcpClient);
      }
    }
  }

  const GuardFacts& facts_;
  std::set<net::Address> told_apart_;  // by the rules, of addresses of a link
  std::set<std::string> used_;         // by sessions, management and what carries them
  std::set<std::string> used_by_ipv6_;
  bool is_ipv6_managed_ = false;  // somebody administers by IPv6, or may
  Need need_ = Need::Certain;     // for what is being added
  Ways ways_;
  Lifelines& into_;
  std::set<std::string> kinds_;  // of which one stands for all
};

}  // namespace

void add_link_lifelines(const GuardFacts& facts, const std::vector<const ruleset::Table*>& tables,
                        Lifelines& into) {
  Links(facts, tables, into).add();
}

}  // namespace rolewall::apply
