#include "netlink/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "netlink/route_dump.h"

namespace rolewall::netlink {
namespace {

using ruleset::Interface;
using ruleset::Route;
using ruleset::RouteType;

std::string kind_of(const AttributeMap& link) {
  const auto info = link.find(IFLA_LINKINFO);
  if (info == link.end()) return "";
  AttributeMap parts;
  for_each_attribute(info->second,
                     [&](std::uint16_t type, View payload) { parts.emplace(type, payload); });
  return text(parts, IFLA_INFO_KIND);
}

// Devices by index, the loopback among them.
using Devices = std::map<std::uint32_t, std::string>;

Result<Devices> read_links(RouteDumper& dumper, Machine& machine) {
  Devices devices;
  TRY(dumper.dump(RTM_GETLINK, sizeof(ifinfomsg), AF_UNSPEC, "interfaces",
                  [&](const nlmsghdr& message) {
                    const auto& link = header_of<ifinfomsg>(message);
                    const AttributeMap attributes = attributes_of<ifinfomsg>(message);
                    Interface interface;
                    interface.name = interface.device = text(attributes, IFLA_IFNAME);
                    interface.index = static_cast<std::uint32_t>(link.ifi_index);
                    interface.group = number(attributes, IFLA_GROUP);
                    interface.hardware_type = link.ifi_type;
                    interface.kind = kind_of(attributes);
                    if (const auto mac = attributes.find(IFLA_ADDRESS); mac != attributes.end()) {
                      interface.mac = fmt::format("{:02x}", fmt::join(mac->second, ":"));
                    }
                    devices.emplace(interface.index, interface.device);
                    if ((link.ifi_flags & IFF_LOOPBACK) == 0) {
                      machine.interfaces.push_back(std::move(interface));
                    }
                  }));
  return devices;
}

Result<void> read_addresses(RouteDumper& dumper, const Devices& devices, Machine& machine) {
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
                       // A point-to-point link's IFA_ADDRESS is the other end's.
                       auto own = address(attributes, IFA_LOCAL);
                       if (!own) own = address(attributes, IFA_ADDRESS);
                       if (!own) return;
                       // The loopback may bear addresses that the network knows (a service's).
                       if (is_loopback(header.ifa_index) && net::is_loopback(*own)) return;
                       machine.addresses.push_back({*own, net::address_bits(*own)});
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

// False where routes are looked up otherwise than by these tables.
Result<bool> has_plain_rules(RouteDumper& dumper) {
  bool plain = true;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dumper.dump(RTM_GETRULE, sizeof(fib_rule_hdr), family, "routing rules",
                    [&](const nlmsghdr& message) {
                      plain &= is_kernels_own(header_of<fib_rule_hdr>(message),
                                              attributes_of<fib_rule_hdr>(message));
                    }));
  }
  return plain;
}

// std::nullopt where it says more than a Route can.
std::optional<Route> route_of(const rtmsg& header, const AttributeMap& attributes,
                              const Devices& devices) {
  const bool known_type = header.rtm_type >= RTN_UNICAST && header.rtm_type <= RTN_THROW;
  if (!known_type || header.rtm_tos != 0 || header.rtm_src_len != 0 ||
      attributes.contains(RTA_MULTIPATH) || attributes.contains(RTA_ENCAP)) {
    return std::nullopt;
  }
  Route route;
  const net::Address everywhere =
      header.rtm_family == AF_INET ? net::Address{net::Ipv4{}} : net::Address{net::Ipv6{}};
  route.to = {address(attributes, RTA_DST).value_or(everywhere), header.rtm_dst_len};
  route.type = static_cast<RouteType>(header.rtm_type);
  const auto device = devices.find(number(attributes, RTA_OIF));
  const bool leads_somewhere = route.type < RouteType::Blackhole;
  if (leads_somewhere && device == devices.end()) return std::nullopt;
  if (leads_somewhere) route.device = device->second;
  route.gateway = address(attributes, RTA_GATEWAY);
  if (const auto via = attributes.find(RTA_VIA);
      via != attributes.end() && via->second.size() > 2) {
    route.gateway = address(via->second.subspan(2));  // behind the family
  }
  route.table = number(attributes, RTA_TABLE, header.rtm_table);
  route.metric = number(attributes, RTA_PRIORITY);
  return route;
}

Result<void> read_routes(RouteDumper& dumper, const Devices& devices, Machine& machine) {
  const auto plain = has_plain_rules(dumper);
  if (!plain) return std::unexpected(plain.error());
  bool whole = *plain;
  std::vector<Route> routes;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dumper.dump(RTM_GETROUTE, sizeof(rtmsg), family, "routes", [&](const nlmsghdr& message) {
      const auto& header = header_of<rtmsg>(message);
      if (header.rtm_family != family || (header.rtm_flags & RTM_F_CLONED) != 0) return;
      const AttributeMap attributes = attributes_of<rtmsg>(message);
      auto route = route_of(header, attributes, devices);
      const auto device = devices.find(number(attributes, RTA_OIF));
      if (header.rtm_protocol == RTPROT_RA && device != devices.end() &&
          std::ranges::count(machine.advertised, device->second) == 0) {
        machine.advertised.push_back(device->second);
      }
      whole &= route.has_value();
      if (route) routes.push_back(std::move(*route));
    }));
  }
  if (whole) machine.routes = std::move(routes);
  return {};
}

}  // namespace

Result<Machine> read_machine() {
  auto dumper = RouteDumper::open();
  if (!dumper) return std::unexpected(std::move(dumper).error());
  Machine machine;
  const auto devices = read_links(*dumper, machine);
  if (!devices) return std::unexpected(devices.error());
  TRY(read_addresses(*dumper, *devices, machine));
  TRY(read_routes(*dumper, *devices, machine));
  return machine;
}

}  // namespace rolewall::netlink
