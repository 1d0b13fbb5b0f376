#include "netlink/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/fib_rules.h>
#include <linux/icmpv6.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/lwtunnel.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "netlink/route_dump.h"

namespace rolewall::netlink {
namespace {

using ruleset::Interface;
using ruleset::Route;
using ruleset::RouterPreference;
using ruleset::RouteType;

AttributeMap parts_of(const AttributeMap& of, std::uint16_t name) {
  AttributeMap parts;
  if (const auto nest = of.find(name); nest != of.end()) {
    for_each_attribute(nest->second,
                       [&](std::uint16_t type, View payload) { parts.emplace(type, payload); });
  }
  return parts;
}

// Its kind; and of a bridge what itself is set to, whatever the machine is.
void read_kind(const AttributeMap& link, Interface& interface) {
  const AttributeMap info = parts_of(link, IFLA_LINKINFO);
  interface.kind = text(info, IFLA_INFO_KIND);
  if (interface.kind != "bridge") return;
  const AttributeMap data = parts_of(info, IFLA_INFO_DATA);
  const auto is_set = [&](std::uint16_t name) -> std::optional<bool> {
    const auto found = data.find(name);
    if (found == data.end() || found->second.empty()) return std::nullopt;
    return found->second[0] != 0;
  };
  interface.shows_ipv4 = is_set(IFLA_BR_NF_CALL_IPTABLES);
  interface.shows_ipv6 = is_set(IFLA_BR_NF_CALL_IP6TABLES);
}

// Devices by index, the loopback among them.
using Devices = std::map<std::uint32_t, std::string>;

// Who stands where: what belongs to a bridge or a bond, by the index of that; and what stands on
// another device of this namespace.
using Masters = std::map<std::uint32_t, std::uint32_t>;
using Indexes = std::set<std::uint32_t>;

// `crossings`: links of which another network namespace holds the other end; `ends`: the other ends
// of those that have both here.
Result<Devices> read_links(RouteDumper& dumper, Machine& machine, Masters& masters,
                           Indexes& crossings, std::map<std::uint32_t, std::uint32_t>& ends) {
  Devices devices;
  Masters below;
  TRY(dumper.dump(RTM_GETLINK, sizeof(ifinfomsg), AF_UNSPEC, "interfaces",
                  [&](const nlmsghdr& message) {
                    const auto& link = header_of<ifinfomsg>(message);
                    const AttributeMap attributes = attributes_of<ifinfomsg>(message);
                    Interface interface;
                    interface.name = interface.device = text(attributes, IFLA_IFNAME);
                    interface.index = static_cast<std::uint32_t>(link.ifi_index);
                    interface.group = number(attributes, IFLA_GROUP);
                    interface.hardware_type = link.ifi_type;
                    read_kind(attributes, interface);
                    interface.mtu = number(attributes, IFLA_MTU);
                    if (const auto mac = attributes.find(IFLA_ADDRESS); mac != attributes.end()) {
                      interface.mac = fmt::format("{:02x}", fmt::join(mac->second, ":"));
                    }
                    devices.emplace(interface.index, interface.device);
                    if (interface.kind == "veth" && attributes.contains(IFLA_LINK_NETNSID)) {
                      crossings.insert(interface.index);
                    } else if (interface.kind == "veth") {
                      ends.emplace(interface.index, number(attributes, IFLA_LINK));
                    }
                    if (const auto master = number(attributes, IFLA_MASTER)) {
                      masters.emplace(interface.index, master);
                    }
                    // The other end of a veth is no device that it stands on.
                    const auto link_index = number(attributes, IFLA_LINK);
                    if (link_index != 0 && interface.kind != "veth" &&
                        !attributes.contains(IFLA_LINK_NETNSID)) {
                      below.emplace(interface.index, link_index);
                    }
                    if ((link.ifi_flags & IFF_LOOPBACK) == 0) {
                      machine.interfaces.push_back(std::move(interface));
                    }
                  }));
  const auto name_by = [&](const Masters& relations, std::uint32_t index) -> std::string {
    const auto related = relations.find(index);
    if (related == relations.end()) return "";
    const auto device = devices.find(related->second);
    return device == devices.end() ? "" : device->second;
  };
  for (Interface& interface : machine.interfaces) {
    interface.master = name_by(masters, interface.index);
    interface.link = name_by(below, interface.index);
  }
  return devices;
}

// 169.254.0.0/16 (RFC 3927), fe80::/10.
bool is_of_link(const net::Address& address) {
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&address)) return ipv4->value >> 16 == 0xa9fe;
  return std::get<net::Ipv6>(address).value >> 118 == 0xfe80 >> 6;
}

// A point-to-point link's IFA_ADDRESS is the other end's.
std::optional<net::Address> own_address(const AttributeMap& attributes) {
  const auto own = address(attributes, IFA_LOCAL);
  return own ? own : address(attributes, IFA_ADDRESS);
}

// `addressed`: devices with an address that is known beyond their link.
Result<void> read_addresses(RouteDumper& dumper, const Devices& devices, Machine& machine,
                            Indexes& addressed) {
  const auto is_loopback = [&](std::uint32_t index) {
    const auto device = devices.find(index);
    return device != devices.end() &&
           std::ranges::none_of(machine.interfaces, [&](const Interface& interface) {
             return interface.index == index;
           });
  };
  return dumper.dump(RTM_GETADDR, sizeof(ifaddrmsg), AF_UNSPEC, "addresses",
                     [&](const nlmsghdr& message) {
                       const auto& header = header_of<ifaddrmsg>(message);
                       const AttributeMap attributes = attributes_of<ifaddrmsg>(message);
                       const auto own = own_address(attributes);
                       if (!own) return;
                       // The loopback may bear addresses that the network knows (a service's).
                       if (is_loopback(header.ifa_index) && net::is_loopback(*own)) return;
                       machine.addresses.push_back({*own, net::address_bits(*own)});
                       if (!is_of_link(*own)) addressed.insert(header.ifa_index);
                       const auto device = devices.find(header.ifa_index);
                       if ((header.ifa_flags & IFA_F_PERMANENT) == 0 && device != devices.end()) {
                         machine.leases.push_back({{*own, header.ifa_prefixlen}, device->second});
                       }
                     });
}

// Whether `ip rule` lists this one on a machine where nobody added any: look up the tables local,
// main and default, whatever the packet is.
bool is_kernels_own(const fib_rule_hdr& rule, const AttributeMap& attributes) {
  for (const auto& [type, payload] : attributes) {
    const bool harmless = type == FRA_TABLE || type == FRA_PRIORITY || type == FRA_PROTOCOL ||
                          type == FRA_SUPPRESS_PREFIXLEN || type == FRA_SUPPRESS_IFGROUP ||
                          type == FRA_PAD;
    if (!harmless) return false;
  }
  const std::uint32_t table = number(attributes, FRA_TABLE, rule.table);
  constexpr std::uint32_t kNone = 0xffffffff;
  return rule.action == FR_ACT_TO_TBL && (rule.flags & FIB_RULE_INVERT) == 0 && rule.tos == 0 &&
         rule.src_len == 0 && rule.dst_len == 0 &&
         number(attributes, FRA_SUPPRESS_PREFIXLEN, kNone) == kNone &&
         number(attributes, FRA_SUPPRESS_IFGROUP, kNone) == kNone &&
         (table == RT_TABLE_LOCAL || table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT);
}

struct RoutingRules {
  // False: routes are looked up otherwise than by these tables: by a rule more, one less, or in
  // another order. A kernel without IPv6 has no rules for it.
  bool as_usual = true;
  bool local_first = true;  // whatever comes then
};

Result<RoutingRules> read_routing_rules(RouteDumper& dumper) {
  RoutingRules rules;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    std::map<std::uint32_t, std::uint32_t> tables;  // by preference
    std::map<std::uint32_t, bool> own;
    TRY(dumper.dump(RTM_GETRULE, sizeof(fib_rule_hdr), family, "routing rules",
                    [&](const nlmsghdr& message) {
                      const auto& rule = header_of<fib_rule_hdr>(message);
                      const AttributeMap attributes = attributes_of<fib_rule_hdr>(message);
                      const bool is_own = is_kernels_own(rule, attributes);
                      rules.as_usual &= is_own;
                      own.emplace(number(attributes, FRA_PRIORITY), is_own);
                      tables.emplace(number(attributes, FRA_PRIORITY),
                                     number(attributes, FRA_TABLE, rule.table));
                    }));
    std::vector<std::uint32_t> order;
    for (const auto& [preference, table] : tables) order.push_back(table);
    constexpr std::array<std::uint32_t, 3> kUsual{RT_TABLE_LOCAL, RT_TABLE_MAIN, RT_TABLE_DEFAULT};
    const bool has_both =
        order.size() >= 2 && std::equal(order.begin(), order.begin() + 2, kUsual.begin());
    const bool is_usual =
        has_both && (order.size() == 2 || (order.size() == 3 && order[2] == kUsual[2]));
    const bool has_none = family == AF_INET6 && order.empty();
    rules.as_usual &= is_usual || has_none;
    rules.local_first &=
        has_none || (!order.empty() && order.front() == RT_TABLE_LOCAL && own.begin()->second);
  }
  return rules;
}

// A route, or one of its next hops, as the kernel has it.
struct KernelRoute {
  Route route;
  // Nothing is sent by it: its device is down, or has no carrier and
  // net.*.conf.DEVICE.ignore_routes_with_linkdown is set (fib_nexthop_info() says RTNH_F_DEAD of
  // both).
  bool dead = false;
};

// By whom and by which device it leads: of the route, or of one of its next hops.
bool set_next_hop(Route& route, std::uint32_t device_index, const AttributeMap& attributes,
                  const Devices& devices) {
  const auto device = devices.find(device_index);
  if (device == devices.end()) return false;
  route.device = device->second;
  route.gateway = address(attributes, RTA_GATEWAY);
  if (const auto via = attributes.find(RTA_VIA);
      via != attributes.end() && via->second.size() > 2) {
    route.gateway = address(via->second.subspan(2));  // behind the family
  }
  return true;
}

// RTA_PREF, of IPv6 alone, as ICMPv6 writes it: 1 high, 0 medium, 3 low.
RouterPreference preference_in(const AttributeMap& attributes) {
  const auto at = attributes.find(RTA_PREF);
  if (at == attributes.end() || at->second.size() != 1) return RouterPreference::Medium;
  if (at->second[0] == ICMPV6_ROUTER_PREF_HIGH) return RouterPreference::High;
  return at->second[0] == ICMPV6_ROUTER_PREF_LOW ? RouterPreference::Low : RouterPreference::Medium;
}

// fib6_is_reject() of net/ipv6/route.c: what goes to the loopback device is refused, but its own.
bool is_refused_by_loopback(const Route& route) {
  return route.type == RouteType::Unicast && route.device == "lo" &&
         !net::is_ipv4(route.to.address) && !net::is_loopback(route.to.address);
}

// A next hop object that routes name by its number, and the objects of a group.
struct HopObject {
  std::uint32_t device = 0;  // 0: a group, or it leads nowhere
  std::optional<net::Address> gateway;
  std::vector<std::uint32_t> members;
  bool has_encapsulation = false;
};
using HopObjects = std::map<std::uint32_t, HopObject>;

// Without net.ipv4.nexthop_compat_mode a route says nothing but the number. A kernel before 5.3 has
// none, and refuses.
HopObjects read_hop_objects(RouteDumper& dumper) {
  HopObjects found;
  const auto dumped = dumper.dump(
      RTM_GETNEXTHOP, sizeof(nhmsg), AF_UNSPEC, "next hops", [&](const nlmsghdr& message) {
        const AttributeMap attributes = attributes_of<nhmsg>(message);
        HopObject object;
        object.device = number(attributes, NHA_OIF);
        object.gateway = address(attributes, NHA_GATEWAY);
        object.has_encapsulation = attributes.contains(NHA_ENCAP);
        if (const auto group = attributes.find(NHA_GROUP); group != attributes.end()) {
          for (std::size_t at = 0; at + sizeof(nexthop_grp) <= group->second.size();
               at += sizeof(nexthop_grp)) {
            nexthop_grp member{};
            std::memcpy(&member, group->second.data() + at, sizeof member);
            object.members.push_back(member.id);
          }
        }
        found[number(attributes, NHA_ID)] = std::move(object);
      });
  return dumped ? found : HopObjects{};
}

// The objects that a route leads by which says nothing else of its way.
std::vector<HopObject> hop_objects_of(const AttributeMap& attributes, const HopObjects& objects) {
  std::vector<HopObject> found;
  const bool says_more = attributes.contains(RTA_OIF) || attributes.contains(RTA_MULTIPATH);
  const auto object = objects.find(number(attributes, RTA_NH_ID));
  if (says_more || object == objects.end()) return found;
  if (object->second.members.empty()) return {object->second};
  for (const std::uint32_t id : object->second.members) {
    const auto member = objects.find(id);
    found.push_back(member == objects.end() ? HopObject{} : member->second);
  }
  return found;
}

// Each next hop apart; nothing where it is of no known type, or leads by no known device.
std::vector<KernelRoute> routes_of(const rtmsg& header, const AttributeMap& attributes,
                                   const Devices& devices, const std::vector<HopObject>& named) {
  std::vector<KernelRoute> found;
  if (header.rtm_type < RTN_UNICAST || header.rtm_type > RTN_THROW) return found;
  Route route;
  const net::Address everywhere =
      header.rtm_family == AF_INET ? net::Address{net::Ipv4{}} : net::Address{net::Ipv6{}};
  route.to = {address(attributes, RTA_DST).value_or(everywhere), header.rtm_dst_len};
  route.type = static_cast<RouteType>(header.rtm_type);
  route.table = number(attributes, RTA_TABLE, header.rtm_table);
  route.metric = number(attributes, RTA_PRIORITY);
  route.preference = preference_in(attributes);
  if (const auto metrics = attributes.find(RTA_METRICS); metrics != attributes.end()) {
    const AttributeMap values = attributes_in(metrics->second);
    route.mtu = number(values, RTAX_MTU);
    route.mtu_locked = (number(values, RTAX_LOCK) & (1U << RTAX_MTU)) != 0;
  }
  if (const auto hops = attributes.find(RTA_MULTIPATH); hops != attributes.end()) {
    for_each_next_hop(hops->second, [&](const rtnexthop& hop, const AttributeMap& told) {
      const bool dead = (hop.rtnh_flags & RTNH_F_DEAD) != 0;
      if (set_next_hop(route, static_cast<std::uint32_t>(hop.rtnh_ifindex), told, devices)) {
        found.push_back({route, dead});
      }
    });
    for (KernelRoute& hop : found) hop.route.one_of_several = found.size() > 1;
    return found;
  }
  const bool leads_somewhere = route.type < RouteType::Blackhole;
  if (leads_somewhere && !named.empty()) {
    for (const HopObject& hop : named) {
      const auto device = devices.find(hop.device);
      if (device == devices.end()) continue;
      route.device = device->second;
      route.gateway = hop.gateway;
      route.one_of_several = named.size() > 1;
      if (is_refused_by_loopback(route)) route.type = RouteType::Unreachable;
      found.push_back({route, (header.rtm_flags & RTNH_F_DEAD) != 0});
    }
    return found;
  }
  if (!leads_somewhere || set_next_hop(route, number(attributes, RTA_OIF), attributes, devices)) {
    if (is_refused_by_loopback(route)) route.type = RouteType::Unreachable;
    found.push_back({route, (header.rtm_flags & RTNH_F_DEAD) != 0});
  }
  return found;
}

// How many next hops a route has, those of unknown devices among them.
std::size_t count_hops(const AttributeMap& attributes) {
  const auto hops = attributes.find(RTA_MULTIPATH);
  if (hops == attributes.end()) return 1;
  std::size_t count = 0;
  for_each_next_hop(hops->second, [&](const rtnexthop&, const AttributeMap&) { ++count; });
  return count;
}

// Whether its Routes say all of it. What a device of a tunnel's is told about the packet (`encap
// ip`) changes no way.
bool is_plain(const AttributeMap& attributes) {
  const auto kind = attributes.find(RTA_ENCAP_TYPE);
  std::uint16_t encapsulation = LWTUNNEL_ENCAP_NONE;
  if (kind != attributes.end() && kind->second.size() == 2) {
    encapsulation = native_u16(kind->second.data());
  }
  const bool is_told = encapsulation == LWTUNNEL_ENCAP_IP || encapsulation == LWTUNNEL_ENCAP_IP6;
  return !attributes.contains(RTA_ENCAP) || is_told;
}

// Whether packets to its destination take it that are of a type of service, or from a source, and
// no others.
bool is_for_some(const rtmsg& header) {
  return header.rtm_tos != 0 || header.rtm_src_len != 0;
}

// Whether IPv6 routes of one prefix and metric lead by several devices: which one is taken depends
// on the packet, and on who answers. Those of groups and of a link's own addresses are asked by
// device.
bool has_alike(const std::vector<Route>& routes) {
  std::set<std::tuple<std::uint32_t, net::Prefix, std::uint32_t>> seen;
  return std::ranges::any_of(routes, [&](const Route& route) {
    const net::Address& to = route.to.address;
    return !net::is_ipv4(to) && !is_of_link(to) && !net::is_multicast(to) &&
           route.type == RouteType::Unicast &&
           !seen.emplace(route.table, route.to, route.metric).second;
  });
}

// As programs that speak a routing protocol sign their routes.
bool is_learned(std::uint8_t protocol) {
  constexpr std::array<std::uint8_t, 14> kRoutingDaemons{
      RTPROT_GATED, RTPROT_MRT,     RTPROT_ZEBRA, RTPROT_BIRD,  RTPROT_XORP,
      RTPROT_NTK,   RTPROT_MROUTED, RTPROT_BABEL, RTPROT_OPENR, RTPROT_BGP,
      RTPROT_ISIS,  RTPROT_OSPF,    RTPROT_RIP,   RTPROT_EIGRP};
  return std::ranges::find(kRoutingDaemons, protocol) != kRoutingDaemons.end();
}

// `uplinks`: devices by which routers to everywhere are reached.
Result<void> read_routes(RouteDumper& dumper, const Devices& devices, Machine& machine,
                         Indexes& uplinks) {
  const auto plain = read_routing_rules(dumper);
  if (!plain) return std::unexpected(plain.error());
  bool whole = plain->as_usual;  // by longest prefixes, each next hop apart
  bool has_several = false;
  machine.has_routing_rules = !plain->as_usual;
  const HopObjects objects = read_hop_objects(dumper);
  std::vector<Route> alive;
  std::vector<Route> for_some;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dumper.dump(RTM_GETROUTE, sizeof(rtmsg), family, "routes", [&](const nlmsghdr& message) {
      const auto& header = header_of<rtmsg>(message);
      if (header.rtm_family != family || (header.rtm_flags & RTM_F_CLONED) != 0) return;
      const AttributeMap attributes = attributes_of<rtmsg>(message);
      const std::vector<HopObject> named = hop_objects_of(attributes, objects);
      const std::vector<KernelRoute> found = routes_of(header, attributes, devices, named);
      const auto device = devices.find(number(attributes, RTA_OIF));
      if (header.rtm_protocol == RTPROT_RA && device != devices.end() &&
          std::ranges::count(machine.advertised, device->second) == 0) {
        machine.advertised.push_back(device->second);
      }
      constexpr unsigned kWidest = 7;  // as good as everywhere
      if (header.rtm_dst_len <= kWidest && header.rtm_type == RTN_UNICAST) {
        uplinks.insert(number(attributes, RTA_OIF));
        for (const HopObject& hop : named) uplinks.insert(hop.device);
        const auto hops = attributes.find(RTA_MULTIPATH);
        if (hops != attributes.end()) {
          for_each_next_hop(hops->second, [&](const rtnexthop& hop, const AttributeMap&) {
            uplinks.insert(static_cast<std::uint32_t>(hop.rtnh_ifindex));
          });
        }
      }
      if (is_learned(header.rtm_protocol)) {
        const net::Address everywhere =
            family == AF_INET ? net::Address{net::Ipv4{}} : net::Address{net::Ipv6{}};
        machine.learned.push_back(
            {address(attributes, RTA_DST).value_or(everywhere), header.rtm_dst_len});
      }
      whole &= found.size() == std::max(count_hops(attributes), named.size()) &&
               is_plain(attributes) && std::ranges::none_of(named, &HopObject::has_encapsulation);
      has_several |= attributes.contains(RTA_MULTIPATH) || named.size() > 1;
      machine.has_added_local_routes |=
          family == AF_INET && header.rtm_type == RTN_LOCAL && header.rtm_protocol != RTPROT_KERNEL;
      for (const KernelRoute& each : found) {
        machine.possible_routes.push_back(each.route);
        if (!each.dead) (is_for_some(header) ? for_some : alive).push_back(each.route);
      }
    }));
  }
  const auto is_local = [](const Route& route) { return route.table == RT_TABLE_LOCAL; };
  whole &= std::ranges::none_of(for_some, is_local);
  has_several |= has_alike(alive);
  if (whole && !has_several && for_some.empty()) machine.routes = alive;
  if (whole) {
    machine.routes_by_hop = std::move(alive);
    machine.routes_for_some = std::move(for_some);
  } else if (plain->local_first && std::ranges::none_of(for_some, is_local)) {
    std::ranges::copy_if(alive, std::back_inserter(machine.local_routes), is_local);
  }
  return {};
}

// Links that end within this machine, or may: what a virtual machine or a container holds the other
// end of, and bridges that join nothing else.
class Guests {
 public:
  Guests(const Machine& machine, const Masters& masters, const Indexes& addressed,
         const Indexes& uplinks)
      : machine_(machine), masters_(masters), addressed_(addressed), uplinks_(uplinks) {}

  bool is_one(const Interface& interface) const {
    if (uplinks_.contains(interface.index)) return false;
    const std::string& kind = interface.kind;
    if (kind == "dummy" || kind == "macvtap" || kind == "ipvtap" || is_tap(interface)) return true;
    // One that has an address of its own may be the network's, as within a container.
    if (kind == "veth") return !addressed_.contains(interface.index);
    return kind == "bridge" && std::ranges::all_of(machine_.interfaces, [&](const Interface& port) {
             const auto master = masters_.find(port.index);
             const bool within = master != masters_.end() && master->second == interface.index;
             return !within || port.kind == "veth" || port.kind == "dummy" || is_tap(port);
           });
  }

 private:
  static bool is_tap(const Interface& interface) {
    return interface.kind == "tun" && interface.hardware_type == ARPHRD_ETHER;
  }

  const Machine& machine_;
  const Masters& masters_;
  const Indexes& addressed_;
  const Indexes& uplinks_;
};

bool is_port(const Interface& interface, const Machine& machine, const Masters& masters) {
  const auto master = masters.find(interface.index);
  if (master == masters.end()) return false;
  const auto above = std::ranges::find(machine.interfaces, master->second,
                                       [](const Interface& each) { return each.index; });
  return above != machine.interfaces.end() &&
         (above->kind == "bridge" || above->kind == "bond" || above->kind == "team");
}

bool joins_several(const Interface& interface, const Masters& masters) {
  return interface.kind == "bridge" && std::ranges::count_if(masters, [&](const auto& each) {
                                         return each.second == interface.index;
                                       }) > 1;
}

}  // namespace

Result<Machine> read_machine() {
  auto dumper = RouteDumper::open();
  if (!dumper) return std::unexpected(std::move(dumper).error());
  Machine machine;
  Masters masters;
  Indexes addressed;
  Indexes uplinks;
  Indexes crossings;
  std::map<std::uint32_t, std::uint32_t> ends;
  const auto devices = read_links(*dumper, machine, masters, crossings, ends);
  if (!devices) return std::unexpected(devices.error());
  TRY(read_addresses(*dumper, *devices, machine, addressed));
  TRY(read_routes(*dumper, *devices, machine, uplinks));
  const Guests guests(machine, masters, addressed, uplinks);
  for (const Interface& interface : machine.interfaces) {
    if (is_port(interface, machine, masters)) machine.ports.push_back(interface.device);
    if (joins_several(interface, masters)) machine.bridges.push_back(interface.device);
    const bool is_guest = guests.is_one(interface);
    if (is_guest) machine.guests.push_back(interface.device);
    if (is_guest || (crossings.contains(interface.index) && !uplinks.contains(interface.index))) {
      machine.inward.push_back(interface.device);
    }
    const auto end = ends.find(interface.index);
    const auto master = end == ends.end() ? masters.end() : masters.find(end->second);
    if (master != masters.end() && devices->contains(master->second)) {
      machine.own_ends.push_back({interface.device, devices->at(master->second)});
    }
  }
  return machine;
}

Result<std::set<net::Address>> own_addresses() {
  auto dumper = RouteDumper::open();
  if (!dumper) return std::unexpected(std::move(dumper).error());
  std::set<net::Address> found;
  TRY(dumper->dump(RTM_GETADDR, sizeof(ifaddrmsg), AF_UNSPEC, "addresses",
                   [&](const nlmsghdr& message) {
                     const auto own = own_address(attributes_of<ifaddrmsg>(message));
                     if (own) found.insert(*own);
                   }));
  return found;
}

}  // namespace rolewall::netlink
