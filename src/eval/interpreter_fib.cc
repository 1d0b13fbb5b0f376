// The interpreter's questions to the routing table: net/netfilter/nft_fib.c, and for each family
// net/ipv4/netfilter/nft_fib_ipv4.c and net/ipv6/netfilter/nft_fib_ipv6.c. Exact where the host's
// routes are known (policy routing and VRFs are not among them); else the answers are chosen.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "eval/interpreter.h"
#include "net/address.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using ruleset::Hook;
using ruleset::RouteType;
namespace flag = ruleset::fib_flag;

net::Address address_at(const Frame& frame, bool source) {
  if (frame.ipv6) {
    return net::ipv6_from_bytes(frame.bytes.data() + (source ? ipv6::kSource : ipv6::kDestination));
  }
  return net::ipv4_from_bytes(frame.bytes.data() + (source ? ipv4::kSource : ipv4::kDestination));
}

// nft_fib_can_skip(): what came by the loopback device came from here.
bool comes_by_loopback(const Frame& frame) {
  return (frame.hook == Hook::Ingress || frame.hook == Hook::Prerouting ||
          frame.hook == Hook::Input) &&
         frame.in_device == kLoopbackDevice;
}

bool is_ipv4_broadcast(const net::Address& address) {
  const auto* ipv4 = std::get_if<net::Ipv4>(&address);
  return ipv4 != nullptr && (ipv4->value == 0 || ipv4->value == 0xffffffff);
}

// IPV6_ADDR_LINKLOCAL of ipv6_addr_type(): fe80::/10, and groups of that scope.
bool is_ipv6_link_local(const net::Address& address) {
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  if (ipv6 == nullptr) return false;
  const auto top = static_cast<std::uint32_t>(ipv6->value >> 112);
  return (top & 0xffc0) == 0xfe80 || (top & 0xff0f) == 0xff02;
}

// "::" and what IPv4 is written as in IPv6: ipv6_addr_type() calls these no unicast addresses.
bool is_of_no_type(const net::Address& address) {
  const auto* ipv6 = std::get_if<net::Ipv6>(&address);
  return ipv6 != nullptr && (ipv6->value == 0 || ipv6->value >> 32 == 0xffff);
}

// Packets whose sender has no address yet are taken to come from where they came.
bool is_from_nowhere(const Frame& frame) {
  constexpr std::uint32_t kAllOnes = 0xffffffff;
  constexpr std::uint32_t kLocalGroups = 0xe00000;  // 224.0.0.0/24
  const net::Address source = address_at(frame, true);
  const net::Address destination = address_at(frame, false);
  if (const auto* from = std::get_if<net::Ipv4>(&source)) {
    const std::uint32_t to = std::get<net::Ipv4>(destination).value;
    return from->value == 0 && (to == kAllOnes || to >> 8 == kLocalGroups);
  }
  return frame.dissection.has_protocol && frame.dissection.protocol == net::protocol::kIcmpv6 &&
         std::get<net::Ipv6>(source).value == 0 && is_ipv6_link_local(destination);
}

RouteType type_of_failure(const ruleset::Route* route) {
  if (route == nullptr) return RouteType::Unreachable;
  const bool says = route->type == RouteType::Blackhole || route->type == RouteType::Prohibit ||
                    route->type == RouteType::Throw;
  return says ? route->type : RouteType::Unreachable;
}

// skb->dev: what a program sends has none before postrouting.
std::string_view device_at_hand(const Frame& frame) {
  return frame.hook == Hook::Postrouting || frame.hook == Hook::Egress ? frame.out_device
                                                                       : frame.in_device;
}

bool leads_nowhere(const ruleset::Route* route) {
  return route == nullptr || route->type == RouteType::Blackhole ||
         route->type == RouteType::Unreachable || route->type == RouteType::Prohibit ||
         route->type == RouteType::Throw;
}

// ipv6_anycast_destination(): the first address of a network on a link is its routers'.
bool is_anycast(const ruleset::Route& route, const net::Address& asked) {
  constexpr unsigned kPointToPoint = 127;
  return route.type == RouteType::Anycast ||
         (!route.gateway && route.to.length < kPointToPoint && route.to.address == asked);
}

}  // namespace

Interpreter::Next Interpreter::run_fib(const ruleset::Fib& fib) {
  return fib.result == ruleset::FibResult::AddressType ? run_fib_type(fib) : run_fib_device(fib);
}

// __inet_dev_addr_type() of net/ipv4/fib_frontend.c asks the local table alone, where what is not
// listed is unicast; __nft_fib6_eval_type() looks up a route, of a link's own addresses the one by
// that link, before it looks at the address itself: so ff00::, a link's first address of ff00::/8,
// is an anycast address, and a group on a device without a route to it is unreachable.
std::uint32_t Interpreter::type_of_address(const net::Address& asked, bool on_device,
                                           std::string_view device) {
  const auto is = [](RouteType type) { return static_cast<std::uint32_t>(type); };
  const auto unicast = [&] {
    return is_of_no_type(asked) ? 0U : is(RouteType::Unicast);  // RTN_UNSPEC
  };
  const std::string_view link = on_device ? device : device_at_hand(*frame_);
  const bool of_link = is_ipv6_link_local(asked);
  const Routes routes = routes_asked_for(asked, device);
  const bool by_route = frame_->ipv6 && routes.known_to(asked);
  const ruleset::Route* local = frame_->ipv6 && !by_route && routes.local_known()
                                    ? routes.find_local(asked, of_link ? link : std::string_view())
                                    : nullptr;
  if (net::is_multicast(asked) && !by_route && local == nullptr) return is(RouteType::Multicast);
  if (is_ipv4_broadcast(asked)) return is(RouteType::Broadcast);
  // A device of a VRF asks its table; no packet that came by one is followed.
  if (routes_.local_known() && !frame_->ipv6) {
    const ruleset::Route* route = routes_.find_local(asked);
    const bool counts = route != nullptr && (!on_device || route->device == device);
    return is(counts ? route->type : RouteType::Unicast);
  }
  if (by_route || local != nullptr) {
    const ruleset::Route* route = local;
    if (by_route) route = of_link ? routes.find_by(asked, link) : routes.find(asked);
    if (leads_nowhere(route)) return is(type_of_failure(route));
    if (is_anycast(*route, asked)) return is(RouteType::Anycast);
    const bool own = on_device ? std::ranges::count(routes.addresses_on(device, true), asked) != 0
                               : route->type == RouteType::Local;
    if (own) return is(RouteType::Local);
    return net::is_multicast(asked) ? is(RouteType::Multicast) : unicast();
  }
  const auto holds = [&](const std::vector<net::Prefix>& addresses) {
    return std::ranges::any_of(addresses, [&](const net::Prefix& p) {
      return net::first(p) <= asked && asked <= net::last(p);
    });
  };
  const std::string text = net::format(asked);
  const auto* ipv4 = std::get_if<net::Ipv4>(&asked);
  const bool loopback = ipv4 != nullptr ? ipv4->value >> 24 == 127 : text == "::1";
  // The loopback device's own addresses are the same everywhere.
  if (loopback && on_device && device != kLoopbackDevice) return is(RouteType::Unicast);
  if (ipv4 != nullptr && ipv4->value == 0x7fffffff) return is(RouteType::Broadcast);
  if (loopback) return is(RouteType::Local);
  const bool own =
      !of_link && (holds(frame_->host->addresses) || holds(frame_->host->virtual_addresses));
  if (own && !on_device) return is(RouteType::Local);
  static const std::array<std::string, 2> kOwn{"local", "unicast"};
  if (own) {
    const bool here = choose(fmt::format("the type of {} on {}", text, device), kOwn) == 0;
    return is(here ? RouteType::Local : RouteType::Unicast);
  }
  // Whatever a route may say. Of a host that no machine has described, none has been added.
  using Named = std::pair<RouteType, const char*>;
  std::vector<Named> types{{RouteType::Unicast, "unicast"}};
  const Named none = frame_->ipv6 ? Named{RouteType::Unreachable, "unreachable"}
                                  : Named{RouteType::Broadcast, "broadcast"};
  types.push_back(none);
  if (frame_->host->has_routing_rules || routes_.local_known()) {
    types.emplace_back(RouteType::Local, "local");
    if (frame_->ipv6) {
      types.insert(types.end(), {{RouteType::Anycast, "anycast"},
                                 {RouteType::Prohibit, "prohibit"},
                                 {RouteType::Blackhole, "blackhole"}});
    }
  }
  std::vector<std::string> names;
  for (const auto& [type, name] : types) names.emplace_back(name);
  const RouteType type = types[choose(fmt::format("the type of {}", text), names)].first;
  return type == RouteType::Unicast ? unicast() : is(type);
}

// nft_fib4_eval(), nft_fib6_flowi_init(): as what is sent to it. Its mark counts by a flag alone.
Routes Interpreter::routes_asked_for(const net::Address& asked, std::string_view compared,
                                     bool by_mark) {
  if (by_mark && !frame_->mark_is_set && routes_.ask_marks(frame_->ipv6)) frame_->reads.mark = true;
  const net::Address source = address_at(*frame_, true);
  const bool back = asked == source;
  RouteAsker asker{.from = back ? address_at(*frame_, false) : source,
                   .to = asked,
                   .in_device = kLoopbackDevice,
                   .mark = by_mark ? asker_of(*frame_).mark : std::optional<std::uint32_t>(0)};
  if (frame_->hook == Hook::Forward && back && !compared.empty()) {
    asker.in_device = frame_->out_device;
  }
  // get_saddr()
  const auto* ipv4 = std::get_if<net::Ipv4>(&asker.from);
  const bool is_nobody = ipv4 != nullptr && (net::is_multicast(asker.from) ||
                                             ipv4->value >> 24 == 0 || ipv4->value == 0xffffffff);
  if (is_nobody) asker.from = net::Ipv4{};
  return routes_.as_asked_by(asker);
}

Interpreter::Next Interpreter::run_fib_type(const ruleset::Fib& fib) {
  const net::Address asked = address_at(*frame_, (fib.flags & flag::kSource) != 0);
  const bool on_device = (fib.flags & (flag::kIif | flag::kOif)) != 0;
  const std::string_view device =
      (fib.flags & flag::kIif) != 0 ? frame_->in_device : frame_->out_device;
  store_word(fib.destination, type_of_address(asked, on_device, device));
  return Next::Expression;
}

// nft_fib_store_result(); "" is no device.
Interpreter::Next Interpreter::store_device(const ruleset::Fib& fib, std::string_view device) {
  if ((fib.flags & flag::kPresent) != 0) {
    store_byte(fib.destination, device.empty() ? 0 : 1);
    return Next::Expression;
  }
  if (fib.result == ruleset::FibResult::Oif) return store_index(fib.destination, device);
  store_name(fib.destination, device);
  return Next::Expression;
}

// Of several IPv6 next hops the kernel takes one by a hash of the flow; of IPv4's a lookup that
// sends nothing takes the first.
std::string Interpreter::chosen_hop(const ruleset::Route& route, const net::Address& to) {
  std::vector<std::string> devices;
  for (const ruleset::Route* hop : routes_.hops_of(route)) devices.push_back(hop->device);
  if (devices.size() == 1) return devices.front();
  return devices[choose(fmt::format("the next hop towards {}", net::format(to)), devices)];
}

// nft_fib4_eval() and nft_fib6_eval(): the device that the route leads by; with a device to compare
// with, that one where the route leads by it, else none.
Interpreter::Next Interpreter::run_fib_device(const ruleset::Fib& fib) {
  if (comes_by_loopback(*frame_)) return store_device(fib, frame_->in_device);
  if (is_from_nowhere(*frame_)) {
    const bool arrived = !frame_->in_device.empty();
    return store_device(fib, arrived ? frame_->in_device : frame_->out_device);
  }
  const bool source = (fib.flags & flag::kSource) != 0;
  const bool compares = (fib.flags & (flag::kIif | flag::kOif)) != 0;
  const std::string_view device =
      (fib.flags & flag::kIif) != 0 ? frame_->in_device : frame_->out_device;
  const net::Address asked = address_at(*frame_, source);
  const bool by_iif = (fib.flags & flag::kIif) != 0;
  const Routes routes =
      routes_asked_for(asked, by_iif ? device : std::string_view(), (fib.flags & flag::kMark) != 0);
  if (routes.known_to(asked)) {
    // Of a link's own addresses the route by that link is looked up.
    const std::string_view link = compares ? device : device_at_hand(*frame_);
    const bool on_link = is_ipv6_link_local(asked) && !link.empty();
    const ruleset::Route* route = on_link
                                      ? routes.find_by(asked, link)
                                      : routes.find_between(asked, address_at(*frame_, !source));
    const bool here = route != nullptr && (route->type == RouteType::Local ||
                                           (frame_->ipv6 && route->type == RouteType::Anycast));
    if (leads_nowhere(route) || here) return store_device(fib, "");
    if (frame_->ipv6 && route->one_of_several) {
      const std::string hop = chosen_hop(*route, asked);
      return store_device(fib, !compares || hop == device ? std::string_view(hop) : "");
    }
    if (!compares) return store_device(fib, route->device);
    return store_device(fib, routes.leads_by(*route, device) ? device : std::string_view());
  }
  const std::string about = compares
                                ? fmt::format("the route to {} by {}", net::format(asked), device)
                                : fmt::format("the route to {}", net::format(asked));
  static const std::array<std::string, 2> kAnswers{"there is one", "there is none"};
  const bool found = choose(about, kAnswers) == 0;
  if (!found || compares || (fib.flags & flag::kPresent) != 0) {
    return store_device(fib, found ? (compares ? device : kLoopbackDevice) : std::string_view());
  }
  const bool index = fib.result == ruleset::FibResult::Oif;
  return store_unknown(fib, fmt::format("the device towards {}", net::format(asked)),
                       index ? Format::HostNumber : Format::Name);
}

// addrtype_mt_v1() of net/netfilter/xt_addrtype.c.
bool Interpreter::xt_asks(const ruleset::XtAddrtype& match) {
  using On = ruleset::XtAddrtype::On;
  const std::string_view device = match.on == On::In ? frame_->in_device : frame_->out_device;
  const auto is_one_of = [&](bool source, std::uint16_t types) {
    if (frame_->ipv6) return xt_is_of_type_ipv6(match, source, types);
    const std::uint32_t type =
        type_of_address(address_at(*frame_, source), match.on != On::Anywhere, device);
    return (types >> type & 1) != 0;
  };
  if (match.source != 0 && is_one_of(true, match.source) == match.source_inverted) return false;
  return match.destination == 0 ||
         is_one_of(false, match.destination) != match.destination_inverted;
}

// match_type6(), match_lookup_rt6(): what is asked of the address itself must all hold, of its
// route one thing.
bool Interpreter::xt_is_of_type_ipv6(const ruleset::XtAddrtype& match, bool source,
                                     std::uint16_t types) {
  using On = ruleset::XtAddrtype::On;
  const auto asks = [&](RouteType type) { return (types >> static_cast<unsigned>(type) & 1) != 0; };
  const net::Address asked = address_at(*frame_, source);
  const bool multicast = net::is_multicast(asked);
  const bool is_any = std::get<net::Ipv6>(asked).value == 0;
  if (asks(RouteType::Multicast) && !multicast) return false;
  if (asks(RouteType::Unicast) && (multicast || is_of_no_type(asked))) return false;
  if ((types & 1) != 0 && !is_any) return false;
  if (!asks(RouteType::Local) && !asks(RouteType::Anycast) && !asks(RouteType::Unreachable)) {
    return true;
  }
  const bool on_device = match.on != On::Anywhere;
  const std::string_view device = match.on == On::In ? frame_->in_device : frame_->out_device;
  const Routes routes = routes_asked_for(asked, {});
  if (!routes.known_to(asked)) {
    return choose_whether(
        fmt::format("{} has the type that -m addrtype asks for", net::format(asked)));
  }
  const ruleset::Route* route = on_device ? routes.find_by(asked, device) : routes.find(asked);
  if (route == nullptr) return asks(RouteType::Unreachable);
  if (leads_nowhere(route)) return asks(RouteType::Unreachable);
  const bool local = on_device ? std::ranges::count(routes.addresses_on(device, true), asked) != 0
                               : route->type == RouteType::Local;
  return (asks(RouteType::Local) && local) ||
         (asks(RouteType::Anycast) && is_anycast(*route, asked));
}

// rpfilter_mt() of ipt_rpfilter.c and ip6t_rpfilter.c.
bool Interpreter::xt_asks(const ruleset::XtRpfilter& match) {
  if (frame_->in_device == kLoopbackDevice) return !match.inverted;
  const net::Address from = address_at(*frame_, true);
  const net::Address to = address_at(*frame_, false);
  if (const auto* source = std::get_if<net::Ipv4>(&from)) {
    constexpr std::uint32_t kLocalGroups = 0xe00000;  // 224.0.0.0/24
    const std::uint32_t destination = std::get<net::Ipv4>(to).value;
    // ipv4_is_zeronet(): of 0.0.0.0/8 the first address alone, since Linux 5.3.
    if (source->value == 0 && (destination == 0xffffffff || destination >> 8 == kLocalGroups)) {
      return !match.inverted;
    }
  } else if (std::get<net::Ipv6>(from).value == 0 || net::is_multicast(from)) {
    // Each device has a route to ff00::/8. None comes from there but by a bridge that shows it.
    return !match.inverted;
  }
  const Routes routes = routes_asked_for(from, {}, match.valid_mark);
  if (!routes.known_to(from)) {
    return choose_whether(fmt::format("the route to {} leads by {}", net::format(from),
                                      frame_->in_device)) != match.inverted;
  }
  const ruleset::Route* route = frame_->ipv6 && is_ipv6_link_local(from)
                                    ? routes.find_by(from, frame_->in_device)
                                    : routes.find_between(from, to);
  // IPv6 takes of the routes of one prefix the one by the device, whatever their metrics
  // (rt6_device_match() of net/ipv6/route.c).
  const auto leads_by_device = [&] {
    if (!frame_->ipv6) return routes.leads_by(*route, frame_->in_device);
    return std::ranges::any_of(routes.all(), [&](const ruleset::Route& other) {
      return other.to == route->to && other.table == route->table &&
             other.device == frame_->in_device;
    });
  };
  bool holds = false;
  if (route != nullptr && route->type == RouteType::Local) {
    holds = match.accepts_local && (frame_->ipv6 || match.loose || leads_by_device());
  } else if (route != nullptr && route->type == RouteType::Unicast) {
    // A network's first address alone is no RTF_ANYCAST: such a route has that type.
    holds = match.loose || leads_by_device();
  }
  return holds != match.inverted;
}

}  // namespace rolewall::eval
