#include "netlink/machine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "netlink/attributes.h"

namespace rolewall::netlink {
namespace {

using ruleset::Interface;
using ruleset::Route;
using ruleset::RouteType;

struct SocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};

// One message of a dump: the structure of its kind, and the attributes behind it.
using Visit = std::function<void(const nlmsghdr&)>;

class Dumper {
 public:
  static Result<Dumper> open() {
    Dumper dumper;
    dumper.socket_.reset(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (!dumper.socket_ || mnl_socket_bind(dumper.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
      return failed("rtnetlink", errno);
    }
    return dumper;
  }

  // `header_size`: of the structure that messages of this kind begin with.
  Result<void> dump(std::uint16_t type, std::size_t header_size, std::uint8_t family,
                    const std::string& what, const Visit& visit) {
    std::vector<char> buffer(kBufferSize);
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    request->nlmsg_seq = ++sequence_;
    // Every such structure begins with the family.
    *static_cast<std::uint8_t*>(mnl_nlmsg_put_extra_header(request, header_size)) = family;
    if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
      return failed(what, errno);
    }
    while (true) {
      const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return failed(what, errno);
      const auto each = [](const nlmsghdr* message, void* data) {
        (*static_cast<const Visit*>(data))(*message);
        return MNL_CB_OK;
      };
      const int status =
          mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), sequence_,
                     mnl_socket_get_portid(socket_.get()), each, const_cast<Visit*>(&visit));
      if (status < 0) return failed(what, errno);
      if (status == MNL_CB_STOP) return {};
    }
  }

 private:
  static constexpr std::size_t kBufferSize = std::size_t{64} * 1024;

  static std::unexpected<Error> failed(const std::string& what, int error) {
    return fail(ErrorKind::System,
                fmt::format("cannot read this machine's {}: {}", what, std::strerror(error)),
                error);
  }

  std::unique_ptr<mnl_socket, SocketCloser> socket_;
  std::uint32_t sequence_ = 0;
};

template <class Header>
const Header& header_of(const nlmsghdr& message) {
  return *static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

// The attributes behind a Header by type. Types above what is asked for here are of no interest:
// nothing that a packet meets is described by them but by those that are.
template <class Header>
std::map<std::uint16_t, View> attributes_of(const nlmsghdr& message) {
  std::map<std::uint16_t, View> attributes;
  const auto* begin =
      static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(Header)));
  const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
  for_each_attribute({begin, end},
                     [&](std::uint16_t type, View payload) { attributes.emplace(type, payload); });
  return attributes;
}

using AttributeMap = std::map<std::uint16_t, View>;

std::uint32_t number(const AttributeMap& attributes, std::uint16_t type,
                     std::uint32_t otherwise = 0) {
  const auto at = attributes.find(type);
  return at == attributes.end() || at->second.size() != 4 ? otherwise
                                                          : native_u32(at->second.data());
}

std::string text(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  if (at == attributes.end()) return "";
  return {at->second.begin(), std::find(at->second.begin(), at->second.end(), std::uint8_t{0})};
}

std::optional<net::Address> address(View bytes) {
  if (bytes.size() == 4) return net::ipv4_from_bytes(bytes.data());
  if (bytes.size() == 16) return net::ipv6_from_bytes(bytes.data());
  return std::nullopt;
}

std::optional<net::Address> address(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  return at == attributes.end() ? std::nullopt : address(at->second);
}

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

Result<Devices> read_links(Dumper& dumper, Machine& machine) {
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

Result<void> read_addresses(Dumper& dumper, const Devices& devices, Machine& machine) {
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
                       if (is_loopback(header.ifa_index)) return;
                       const AttributeMap attributes = attributes_of<ifaddrmsg>(message);
                       // A point-to-point link's IFA_ADDRESS is the other end's.
                       auto own = address(attributes, IFA_LOCAL);
                       if (!own) own = address(attributes, IFA_ADDRESS);
                       if (!own) return;
                       machine.addresses.push_back({*own, net::address_bits(*own)});
                       if (net::is_ipv4(*own) && (header.ifa_flags & IFA_F_PERMANENT) == 0) {
                         machine.leases_ipv4 = true;
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
Result<bool> has_plain_rules(Dumper& dumper) {
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

Result<void> read_routes(Dumper& dumper, const Devices& devices, Machine& machine) {
  const auto plain = has_plain_rules(dumper);
  if (!plain) return std::unexpected(plain.error());
  bool whole = *plain;
  std::vector<Route> routes;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dumper.dump(RTM_GETROUTE, sizeof(rtmsg), family, "routes", [&](const nlmsghdr& message) {
      const auto& header = header_of<rtmsg>(message);
      if (header.rtm_family != family || (header.rtm_flags & RTM_F_CLONED) != 0) return;
      auto route = route_of(header, attributes_of<rtmsg>(message), devices);
      whole &= route.has_value();
      if (route) routes.push_back(std::move(*route));
    }));
  }
  if (whole) machine.routes = std::move(routes);
  return {};
}

}  // namespace

Result<Machine> read_machine() {
  auto dumper = Dumper::open();
  if (!dumper) return std::unexpected(std::move(dumper).error());
  Machine machine;
  const auto devices = read_links(*dumper, machine);
  if (!devices) return std::unexpected(devices.error());
  TRY(read_addresses(*dumper, *devices, machine));
  TRY(read_routes(*dumper, *devices, machine));
  return machine;
}

}  // namespace rolewall::netlink
