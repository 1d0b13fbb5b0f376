#include "apply/ways.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "net/address_set.h"

namespace rolewall::apply {
namespace {

constexpr const char* kLoopback = "lo";

}  // namespace

Ways::Ways(const GuardFacts& facts) : facts_(facts), routes_(facts.machine) {}

bool Ways::is_own(const net::Address& address) const {
  return std::ranges::any_of(facts_.machine.addresses,
                             [&](const net::Prefix& own) { return own.address == address; });
}

std::vector<net::Address> Ways::own_on(const std::string& device, bool ipv6) const {
  if (routes_.known()) return routes_.addresses_on(device, ipv6);
  std::vector<net::Address> own;
  for (const net::Prefix& each : facts_.machine.addresses) {
    if (net::is_ipv4(each.address) != ipv6) own.push_back(each.address);
  }
  return own;
}

bool Ways::may_arrive_by(const std::string& device, bool ipv6) const {
  if (!ipv6 && std::ranges::find(facts_.strict, device) != facts_.strict.end()) return false;
  const auto own = routes_.addresses_on(device, ipv6);
  return std::ranges::any_of(
      own, [](const net::Address& address) { return !eval::is_link_local(address); });
}

bool Ways::is_port(const std::string& device) const {
  return std::ranges::find(facts_.ports, device) != facts_.ports.end();
}

bool Ways::is_guest(const std::string& device) const {
  return std::ranges::find(facts_.guests, device) != facts_.guests.end();
}

bool Ways::is_tunnel(const std::string& device) const {
  return std::ranges::any_of(facts_.tunnels, [&](const observe::Tunnel& tunnel) {
    return std::ranges::find(tunnel.devices, device) != tunnel.devices.end();
  });
}

bool Ways::is_unlikely(const std::string& device) const {
  return is_guest(device) || is_tunnel(device);
}

// `on_link`: of a link's own address, of which each device that bears IPv6 has some; who manages
// from there is not said to come through a tunnel.
std::vector<Way> Ways::by_any(bool on_link) const {
  std::vector<Way> ways;
  for (const ruleset::Interface& each : facts_.machine.interfaces) {
    const std::string& device = each.device;
    const bool bears_none = routes_.known() && routes_.addresses_on(device, true).empty();
    if (is_port(device) || (on_link && bears_none)) continue;
    const bool unlikely = is_guest(device) || (on_link && is_tunnel(device));
    ways.push_back({.in = device,
                    .out = device,
                    .off_route = false,
                    .need = unlikely ? Need::Unlikely : Need::Possible});
  }
  if (ways.size() == 1) ways.front().need = Need::Certain;
  return ways;
}

const std::vector<ruleset::Route>& Ways::every_route() const {
  return facts_.machine.routes ? *facts_.machine.routes : facts_.possible_routes;
}

std::vector<const ruleset::Route*> Ways::possible_towards(const net::Address& address) const {
  std::map<std::uint32_t, unsigned> longest;  // by table
  const auto leads_there = [&](const ruleset::Route& route) {
    return net::is_ipv4(route.to.address) == net::is_ipv4(address) &&
           net::AddressSet::from({route.to}).contains(address);
  };
  for (const ruleset::Route& route : every_route()) {
    if (!leads_there(route)) continue;
    unsigned& length = longest.try_emplace(route.table, 0).first->second;
    length = std::max<unsigned>(length, route.to.length);
  }
  std::vector<const ruleset::Route*> found;
  for (const ruleset::Route& route : every_route()) {
    const bool is_best = leads_there(route) && route.to.length == longest[route.table];
    if (is_best && route.type == ruleset::RouteType::Unicast) found.push_back(&route);
  }
  return found;
}

// Who comes through a tunnel is answered through it: by one that leads to nobody nobody comes.
std::vector<Way> Ways::by_possible(const net::Address& address) const {
  std::set<std::string> leading;
  for (const ruleset::Route* route : possible_towards(address)) leading.insert(route->device);
  std::vector<Way> ways = by_any(false);
  if (leading.empty()) return ways;
  for (Way& way : ways) {
    if (leading == std::set{way.out}) way.need = Need::Certain;
    if (is_tunnel(way.out) && !leading.contains(way.out)) way.need = Need::Unlikely;
  }
  return ways;
}

std::vector<Way> Ways::with(const net::Address& address, const std::string& link) const {
  if (is_own(address) || (routes_.known() && routes_.leads_here(address))) {
    return {{kLoopback, kLoopback}};
  }
  if (!link.empty()) return {{link, link}};
  const bool on_link = eval::is_link_local(address);
  if (on_link) return by_any(true);
  if (!routes_.known()) return by_possible(address);
  const auto answer = routes_.towards(address);
  if (answer.route == nullptr) return {};
  const std::string& out = answer.route->device;
  std::vector<Way> ways{{out, out}};
  for (const ruleset::Interface& other : facts_.machine.interfaces) {
    const std::string& in = other.device;
    if (in == out || is_port(in) || !may_arrive_by(in, !net::is_ipv4(address))) continue;
    // Who comes through a tunnel is answered through it.
    const Need need = is_unlikely(in) ? Need::Unlikely : Need::Possible;
    ways.push_back({.in = in, .out = out, .off_route = true, .need = need});
  }
  return ways;
}

std::optional<net::Address> Ways::router_towards(const net::Address& address) const {
  if (!routes_.known() || is_own(address) || eval::is_link_local(address)) return std::nullopt;
  const auto answer = routes_.towards(address);
  return answer.route == nullptr ? std::nullopt : answer.route->gateway;
}

std::vector<net::Address> Ways::routers_towards(const net::Address& address,
                                                const std::string& device) const {
  std::vector<net::Address> routers;
  for (const ruleset::Route* route : possible_towards(address)) {
    if (route->device == device && route->gateway) routers.push_back(*route->gateway);
  }
  return routers;
}

bool Ways::has_more_than_link_locals(const std::string& device) const {
  const auto own = own_on(device, true);
  if (!std::ranges::all_of(own, eval::is_link_local)) return true;
  return std::ranges::any_of(every_route(), [&](const ruleset::Route& route) {
    const net::Address& to = route.to.address;
    return route.device == device && route.type == ruleset::RouteType::Unicast &&
           !net::is_ipv4(to) && !eval::is_link_local(to) && !net::is_multicast(to);
  });
}

std::optional<net::Address> Ways::own_towards(const net::Address& other,
                                              const std::string& device) const {
  const bool ipv6 = !net::is_ipv4(other);
  for (const net::Address& own : routes_.addresses_on(device, ipv6)) {
    if (eval::is_link_local(own) == eval::is_link_local(other)) return own;
  }
  for (const net::Prefix& own : facts_.machine.addresses) {
    if (net::is_ipv4(own.address) != ipv6 && !eval::is_link_local(own.address)) return own.address;
  }
  return std::nullopt;
}

std::vector<net::Address> Ways::routers_on(const std::string& device, bool ipv6) const {
  std::vector<net::Address> routers;
  for (const ruleset::Route& route : every_route()) {
    const bool leads = route.device == device && route.gateway;
    if (leads && net::is_ipv4(*route.gateway) != ipv6) routers.push_back(*route.gateway);
  }
  return routers;
}

std::vector<net::Prefix> Ways::networks_on(const std::string& device, bool ipv6) const {
  std::vector<net::Prefix> networks;
  if (!facts_.machine.routes) {
    constexpr unsigned kNetwork = 64;  // RFC 4291, 2.5.4
    for (const net::Address& own : own_on(device, true)) {
      if (ipv6 && !eval::is_link_local(own)) networks.push_back({own, kNetwork});
    }
    return networks;
  }
  for (const ruleset::Route& route : *facts_.machine.routes) {
    const net::Address& to = route.to.address;
    const bool counts = route.device == device && net::is_ipv4(to) != ipv6 && !route.gateway &&
                        route.type == ruleset::RouteType::Unicast;
    if (counts && route.to.length > kWidest && route.to.length < net::address_bits(to) &&
        !eval::is_link_local(to) && !net::is_multicast(to)) {
      networks.push_back(route.to);
    }
  }
  return networks;
}

std::string in_words(const ruleset::Host& machine) {
  std::vector<std::string> words;
  for (const ruleset::Interface& interface : machine.interfaces) words.push_back(interface.device);
  for (const net::Prefix& own : machine.addresses) words.push_back(net::format(own.address));
  std::ranges::sort(words);
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace rolewall::apply
