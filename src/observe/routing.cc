#include "observe/routing.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "base/file.h"
#include "net/protocol.h"
#include "netlink/conntrack.h"
#include "netlink/sockets.h"
#include "observe/groups.h"
#include "observe/proc_words.h"

namespace rolewall::observe {
namespace {

// IANA's registries of protocols, ports and multicast groups.
struct Known {
  const char* name;
  std::uint8_t protocol;
  std::uint16_t port;
  const char* ipv4;  // groups; "" where there is none
  const char* ipv6;
  bool is_of_address = false;
};
constexpr std::uint8_t kOspf = 89;
constexpr std::uint8_t kVrrp = 112;
constexpr std::uint8_t kEigrp = 88;
constexpr std::array kKnown{
    Known{"OSPF", kOspf, 0, "224.0.0.5", "ff02::5"},
    Known{"VRRP", kVrrp, 0, "224.0.0.18", "ff02::12", true},
    Known{"EIGRP", kEigrp, 0, "224.0.0.10", "ff02::a"},
    Known{"RIP", net::protocol::kUdp, 520, "224.0.0.9", ""},
    Known{"RIPng", net::protocol::kUdp, 521, "", "ff02::9"},
    Known{"Babel", net::protocol::kUdp, 6696, "224.0.0.111", "ff02::1:6"},
};

constexpr std::size_t kLargestTable = std::size_t{1} << 20;

void add(std::vector<SpokenOnLink>& found, const std::string& device, const net::Address& group) {
  for (const Known& known : kKnown) {
    const std::string_view text = net::is_ipv4(group) ? known.ipv4 : known.ipv6;
    if (text.empty() || net::parse_address(text) != group) continue;
    found.push_back({.name = known.name,
                     .protocol = known.protocol,
                     .port = known.port,
                     .device = device,
                     .group = group,
                     .is_of_address = known.is_of_address});
  }
}

// The protocols of raw sockets: a line of /proc/net/raw has the protocol where a port would stand,
// "3: 00000000:0059".
std::set<std::uint8_t> raw_protocols() {
  std::set<std::uint8_t> found;
  for (const char* path : {"/proc/net/raw", "/proc/net/raw6"}) {
    for (const std::string& line : lines_of(read_file(path, kLargestTable).value_or(""))) {
      const auto words = words_in(line);
      if (words.size() < 2) continue;
      const std::string& local = words[1];
      const std::size_t colon = local.rfind(':');
      unsigned protocol = 0;
      if (colon == std::string::npos ||
          std::from_chars(local.data() + colon + 1, local.data() + local.size(), protocol, 16).ec !=
              std::errc{}) {
        continue;
      }
      found.insert(static_cast<std::uint8_t>(protocol));
    }
  }
  return found;
}

constexpr std::uint16_t kBgp = 179;

// A session that is open; either side may open it again.
std::vector<Peering> bgp(const netlink::TcpSockets& sockets) {
  std::vector<Peering> found;
  for (const netlink::TcpSocket& socket : sockets.established) {
    if ((socket.local_port != kBgp && socket.remote_port != kBgp) ||
        net::is_loopback(socket.remote)) {
      continue;
    }
    found.push_back({.name = "BGP",
                     .flow = {.protocol = net::protocol::kTcp,
                              .local = socket.local,
                              .remote = socket.remote,
                              .local_port = socket.local_port,
                              .remote_port = socket.remote_port,
                              .opened_by_peer = socket.local_port == kBgp,
                              .opened_here = socket.local_port != kBgp}});
  }
  return found;
}

bool is_own(const ruleset::Host& host, const net::Address& address) {
  return std::ranges::any_of(host.addresses,
                             [&](const net::Prefix& own) { return own.address == address; });
}

// By what they send to the group; or by what goes between the two, if this host speaks to them:
// whoever is far away can send that.
std::set<std::pair<const Known*, net::Address>> heard(const ruleset::Host& host) {
  std::set<std::pair<const Known*, net::Address>> found;
  const auto flows = netlink::read_flows_with([](const net::Address&) { return true; });
  for (const netlink::TrackedFlow& flow : flows.value_or(std::vector<netlink::TrackedFlow>())) {
    for (const Known& known : kKnown) {
      if (flow.protocol != known.protocol || flow.to.port != known.port) continue;
      const bool is_meant =
          net::is_multicast(flow.to.address) || flow.answered || is_own(host, flow.from.address);
      if (!is_meant) continue;
      for (const net::Address& end : {flow.from.address, flow.to.address}) {
        const bool is_somebody = !net::is_multicast(end) && !net::is_loopback(end);
        if (is_somebody && !is_own(host, end)) found.emplace(&known, end);
      }
    }
  }
  return found;
}

// Of what is spoken on a link its neighbours there; else, where a program speaks it to single ones
// (VRRP between two addresses), these.
void add_heard(const ruleset::Host& host, Routing& found) {
  const std::set<std::uint8_t> raw = raw_protocols();
  if (found.on_links.empty() && raw.empty()) return;
  const auto is_on_link = [&](const Known& known) {
    return std::ranges::count(found.on_links, known.name, &SpokenOnLink::name) != 0;
  };
  std::set<std::string> with_some;
  for (const auto& [known, address] : heard(host)) {
    if (is_on_link(*known)) {
      found.neighbours.push_back({.name = known->name, .address = address});
      continue;
    }
    if (known->port != 0 || !raw.contains(known->protocol)) continue;
    with_some.insert(known->name);
    found.peerings.push_back({.name = known->name,
                              .flow = {.protocol = known->protocol,
                                       .local = net::is_ipv4(address) ? net::Address{net::Ipv4{}}
                                                                      : net::Address{net::Ipv6{}},
                                       .remote = address,
                                       .opened_by_peer = true,
                                       .draws_ports = true},
                              .is_of_address = known->is_of_address});
  }
  for (const Known& known : kKnown) {
    const bool is_spoken = known.port == 0 && raw.contains(known.protocol);
    if (is_spoken && !is_on_link(known) && !with_some.contains(known.name)) {
      found.unseen.emplace_back(known.name);
    }
  }
}

// RFC 5881 and, over several hops, RFC 5883.
constexpr std::array<std::uint16_t, 2> kBfd{3784, 4784};

// Its sockets have no peer: connection tracking knows who has sent to them, and where it tracks
// nothing yet, BGP's neighbours stand for them. Whoever ends BFD ends the protocol that relies on
// it, in less than a second.
void add_bfd(Routing& found) {
  const auto sockets = netlink::read_udp_sockets();
  if (!sockets) return;
  const std::vector<Peering> relying = found.peerings;
  bool is_spoken = false;
  std::set<std::pair<std::uint16_t, net::Address>> peers;
  for (const netlink::UdpSocket& socket : *sockets) {
    if (std::ranges::find(kBfd, socket.local_port) == kBfd.end()) continue;
    is_spoken = true;
    const auto senders = netlink::read_udp_peers(socket.local_port);
    for (const netlink::UdpPeer& each : senders.value_or(std::vector<netlink::UdpPeer>())) {
      if (!each.is_here) peers.emplace(socket.local_port, each.peer.address);
    }
    for (const Peering& bgp : relying) {
      const auto tracked = netlink::read_flows_with(
          [&](const net::Address& each) { return each == bgp.flow.remote; });
      if (tracked && tracked->empty()) peers.emplace(socket.local_port, bgp.flow.remote);
    }
  }
  for (const auto& [port, peer] : peers) {
    found.peerings.push_back({.name = "BFD",
                              .flow = {.protocol = net::protocol::kUdp,
                                       .local = net::is_ipv4(peer) ? net::Address{net::Ipv4{}}
                                                                   : net::Address{net::Ipv6{}},
                                       .remote = peer,
                                       .local_port = port,
                                       .remote_port = port,
                                       .opened_by_peer = true,
                                       .draws_ports = true}});
  }
  if (is_spoken && peers.empty()) found.unseen.emplace_back("BFD");
}

}  // namespace

std::vector<SpokenOnLink> spoken_on_links(const std::vector<ruleset::JoinedGroup>& groups) {
  std::vector<SpokenOnLink> found;
  for (const ruleset::JoinedGroup& joined : groups) add(found, joined.device, joined.group);
  return found;
}

Routing routing(const ruleset::Host& host) {
  Routing found;
  found.on_links = spoken_on_links(joined_groups());
  const auto sockets = netlink::read_tcp_sockets();
  if (sockets) found.peerings = bgp(*sockets);
  add_bfd(found);
  add_heard(host, found);
  return found;
}

}  // namespace rolewall::observe
