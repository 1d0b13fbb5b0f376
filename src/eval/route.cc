#include "eval/route.h"

#include <algorithm>

#include "ruleset/delivered.h"

namespace rolewall::eval {
namespace {

using ruleset::Route;
using ruleset::RouteType;

constexpr std::uint32_t kLocalTable = 255;
constexpr std::uint32_t kMainTable = 254;
constexpr std::uint32_t kDefaultTable = 253;

bool covers(const net::Prefix& prefix, const net::Address& address) {
  return prefix.address.index() == address.index() && net::first(prefix) <= address &&
         address <= net::last(prefix);
}

// The longest prefix, of these the least metric.
bool is_better(const Route& route, const Route* than) {
  if (than == nullptr) return true;
  if (route.to.length != than->to.length) return route.to.length > than->to.length;
  return route.metric < than->metric;
}

template <class Predicate>
std::vector<ruleset::Interface> select(const ruleset::Host& host, Predicate wanted) {
  std::vector<ruleset::Interface> found;
  for (const ruleset::Interface& interface : host.interfaces) {
    if (!wanted(interface)) continue;
    found.push_back(interface);
    std::string& device = found.back().device;
    if (device.ends_with('*')) device.back() = '0';
  }
  return found;
}

enum class Applies : std::uint8_t { No, Yes, NotKnown };

Applies applies_to(const ruleset::RoutingRule& rule, const RouteAsker& asker) {
  const auto is_in = [](const net::Prefix& prefix, const net::Address& address) {
    return prefix.length == 0 || covers(prefix, address);
  };
  const bool same = is_in(rule.from, asker.from) && is_in(rule.to, asker.to) &&
                    (rule.in_device.empty() || rule.in_device == asker.in_device);
  const bool other_mark = asker.mark && ((rule.mark ^ *asker.mark) & rule.mask) != 0;
  // What it does may not be modelled either.
  if ((!same || other_mark) && !rule.inverted) return Applies::No;
  if (rule.asks_more) return Applies::NotKnown;
  if (!same || other_mark) return Applies::Yes;
  if (!asker.mark && rule.mask != 0) return Applies::NotKnown;
  return rule.inverted ? Applies::No : Applies::Yes;
}

// What it says is no route that a rule might suppress.
bool refuses(const Route& route) {
  return route.type == RouteType::Blackhole || route.type == RouteType::Unreachable ||
         route.type == RouteType::Prohibit;
}

bool is_own(const Route& route) {
  return route.type == RouteType::Local || route.type == RouteType::Broadcast ||
         route.type == RouteType::Anycast;
}

}  // namespace

net::Address destination_of(ByteSpan packet, bool ipv6) {
  if (ipv6) return net::ipv6_from_bytes(packet.data() + ipv6::kDestination);
  return net::ipv4_from_bytes(packet.data() + ipv4::kDestination);
}

bool is_link_local(const net::Address& address) {
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  return ipv6 != nullptr && ipv6->value >> 118 == 0xfe80 >> 6;
}

// nf_route_table_hook4() and nf_route_table_hook6() of net/netfilter/nft_chain_route.c.
RouteKey route_key(const Frame& frame) {
  RouteKey key{.mark = frame.mark};
  const auto take = [&](std::size_t from, std::size_t size) {
    std::ranges::copy(frame.bytes.subspan(from, size),
                      key.header.begin() + static_cast<std::ptrdiff_t>(from));
  };
  if (frame.ipv6) {
    take(0, 4);
    take(ipv6::kHopLimit, 1);
    take(ipv6::kSource, 32);
  } else {
    take(1, 1);
    take(ipv4::kSource, 8);
  }
  return key;
}

std::vector<ruleset::Interface> interfaces_towards(const ruleset::Host& host,
                                                   const net::Address& address) {
  // A host that names no interface has no rule that could ask which one it is.
  if (host.interfaces.empty()) return {{"eth0", "eth0", {}}};
  auto found =
      select(host, [&](const auto& interface) { return interface.behind.contains(address); });
  if (found.empty()) {
    found = select(host, [](const auto& interface) { return interface.behind.empty(); });
  }
  if (found.empty()) found = select(host, [](const auto&) { return true; });
  return found;
}

RouteAsker asker_of(const Frame& frame) {
  const std::size_t source = frame.ipv6 ? ipv6::kSource : ipv4::kSource;
  const bool open = frame.packet->sender_is_open && !frame.mark_is_set;
  RouteAsker asker{.to = destination_of(frame.bytes, frame.ipv6),
                   .in_device = frame.in_device.empty() ? kLoopbackDevice : frame.in_device};
  asker.from = frame.ipv6 ? net::Address(net::ipv6_from_bytes(frame.bytes.data() + source))
                          : net::Address(net::ipv4_from_bytes(frame.bytes.data() + source));
  if (!open) asker.mark = frame.mark;
  return asker;
}

Routes::Routes(const ruleset::Host& host)
    : host_(host), tables_{{kLocalTable}, {kMainTable}, {kDefaultTable}} {}

const std::vector<Route>& Routes::all() const {
  if (host_.routes) return *host_.routes;
  return by_rules_ ? host_.ruled_routes : host_.local_routes;
}

// fib_rules_lookup(), fib_rule_match() of net/core/fib_rules.c.
Routes Routes::as_asked_by(const RouteAsker& asker) const {
  Routes asked(host_);
  if (host_.routes || host_.ruled_routes.empty()) return asked;
  std::vector<Table> tables;
  for (const ruleset::RoutingRule& rule : host_.routing_rules) {
    if (rule.to.address.index() != asker.to.index()) continue;
    const Applies applies = applies_to(rule, asker);
    if (applies == Applies::No) continue;
    if (applies == Applies::NotKnown) return asked;
    tables.push_back({rule.table, rule.at_least});
    asked.by_rules_ = true;
    asked.tables_ = tables;
    // A link's own address is looked up by device, in each of the tables.
    if (!is_link_local(asker.to) && asked.find(asker.to) != nullptr) return asked;
    asked.by_rules_ = false;
  }
  asked.by_rules_ = true;
  asked.tables_ = std::move(tables);
  return asked;
}

std::vector<ruleset::Interface> Routes::devices_by_rules(const net::Address& to) const {
  return select(host_, [&](const ruleset::Interface& interface) {
    return std::ranges::any_of(host_.ruled_routes, [&](const Route& route) {
      return route.device == interface.device && covers(route.to, to);
    });
  });
}

bool Routes::ask_marks(bool ipv6) const {
  return std::ranges::any_of(host_.routing_rules, [&](const ruleset::RoutingRule& rule) {
    return rule.mask != 0 && net::is_ipv4(rule.to.address) != ipv6;
  });
}

const Route* Routes::find_in(std::uint32_t table, const net::Address& to,
                             std::string_view device) const {
  const Route* best = nullptr;
  for (const Route& route : all()) {
    const bool counts = route.table == table && (device.empty() || route.device == device);
    if (counts && covers(route.to, to) && is_better(route, best)) best = &route;
  }
  return best;
}

const Route* Routes::find(const net::Address& to) const {
  return find_by(to, {});
}

const Route* Routes::find_local(const net::Address& to, std::string_view device) const {
  return find_in(kLocalTable, to, device);
}

const Route* Routes::find_by(const net::Address& to, std::string_view device) const {
  for (const Table& table : tables_) {
    const Route* best = find_in(table.number, to, device);
    if (best == nullptr || best->type == RouteType::Throw) continue;
    if (refuses(*best) || best->to.length >= table.at_least) return best;
  }
  return nullptr;
}

const Route* Routes::find_between(const net::Address& to, const net::Address& from) const {
  const Route* best = find(to);
  if (best == nullptr || !known() || !is_link_local(from)) return best;
  const Route* found = nullptr;
  for (const Route& route : all()) {
    if (route.table != best->table || route.to != best->to || !leads_here(from, route.device)) {
      continue;
    }
    if (found == nullptr || route.metric < found->metric) found = &route;
  }
  return found == nullptr ? best : found;
}

std::vector<const Route*> Routes::for_some(const net::Address& to) const {
  std::vector<const Route*> found;
  if (host_.routes_for_some.empty()) return found;
  const Route* usual = find(to);
  for (const Route& route : host_.routes_for_some) {
    const bool is_asked = route.table == kMainTable || route.table == kDefaultTable;
    if (!is_asked || !covers(route.to, to)) continue;
    const bool is_longer = usual == nullptr || route.to.length >= usual->to.length;
    if (usual != nullptr && usual->table == kLocalTable) continue;
    if (is_longer) found.push_back(&route);
  }
  return found;
}

std::vector<const Route*> Routes::hops_of(const Route& route) const {
  if (!route.one_of_several || !known()) return {&route};
  std::vector<const Route*> hops;
  for (const Route& hop : all()) {
    const bool is_beside = hop.one_of_several && hop.table == route.table && hop.to == route.to &&
                           hop.metric == route.metric;
    const bool is_new =
        std::ranges::none_of(hops, [&](const Route* other) { return other->device == hop.device; });
    if (is_beside && is_new) hops.push_back(&hop);
  }
  return hops;
}

bool Routes::leads_by(const Route& route, std::string_view device) const {
  return std::ranges::count(hops_of(route), device, &Route::device) != 0;
}

// rt6_score_route(): the preference counts more than the device.
std::vector<const Route*> Routes::best_beside(const Route& route, std::string_view came_by,
                                              std::string_view device) const {
  std::vector<const Route*> best;
  int most = -1;
  for (const Route& other : all()) {
    if (other.table != route.table || other.to != route.to || other.metric != route.metric)
      continue;
    if (!device.empty() && other.device != device) continue;
    const int score = 2 * static_cast<int>(other.preference) + (other.device == came_by ? 1 : 0);
    if (score < most) continue;
    if (score > most) best.clear();
    most = score;
    best.push_back(&other);
  }
  return best;
}

std::vector<const Route*> Routes::ways(const net::Address& to, std::string_view came_by,
                                       std::string_view device) const {
  const Route* found = find_by(to, device);
  if (found == nullptr) return {};
  if (net::is_ipv4(to)) return hops_of(*found);
  std::vector<const Route*> ways;
  for (const Route* each : best_beside(*found, came_by, device)) {
    for (const Route* hop : hops_of(*each)) {
      const bool is_new = std::ranges::none_of(ways, [&](const Route* other) {
        return other->device == hop->device && other->type == hop->type;
      });
      if (is_new) ways.push_back(hop);
    }
  }
  return ways;
}

Routes::Answer Routes::towards(const net::Address& to, std::string_view device) const {
  if (!known()) return {.error = "no route is known"};
  const std::vector<const Route*> found = ways(to, {}, device);
  return found.empty() ? Answer{.error = "there is no route to it"} : answer(*found.front());
}

Routes::Answer Routes::answer(const Route& route) {
  switch (route.type) {
    case RouteType::Unicast:
      return {.route = &route};
    case RouteType::Blackhole:
      return {.error = "its route is a black hole"};
    case RouteType::Unreachable:
      return {.error = "its route says unreachable"};
    case RouteType::Prohibit:
      return {.error = "its route says prohibited"};
    case RouteType::Local:
    case RouteType::Broadcast:
    case RouteType::Anycast:
    case RouteType::Multicast:
    case RouteType::Throw:
      return {.error = "its route does not lead to another host"};
  }
  return {.error = "its route has an unknown type"};
}

bool Routes::leads_here(const net::Address& to, std::string_view device) const {
  const Route* route = find_by(to, device);
  return route != nullptr && is_own(*route);
}

std::vector<net::Address> Routes::addresses_on(std::string_view device, bool ipv6) const {
  std::vector<net::Address> addresses;
  for (const Route& route : all()) {
    const bool address = route.table == kLocalTable && route.type == RouteType::Local &&
                         route.to.length == net::address_bits(route.to.address);
    if (address && route.device == device && net::is_ipv4(route.to.address) != ipv6 &&
        std::ranges::find(addresses, route.to.address) == addresses.end()) {
      addresses.push_back(route.to.address);
    }
  }
  std::ranges::stable_sort(addresses, {}, [&](const net::Address& address) {
    return std::ranges::find(host_.addresses, address, &net::Prefix::address) -
           host_.addresses.begin();
  });
  return addresses;
}

}  // namespace rolewall::eval
