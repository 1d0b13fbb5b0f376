#include "netlink/tunnels.h"

#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/lwtunnel.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <map>
#include <string_view>
#include <utility>

#include "net/protocol.h"
#include "netlink/route_dump.h"
#include "ruleset/tunnel_kinds.h"

namespace rolewall::netlink {
namespace {

constexpr std::uint8_t kIpip = 4;
constexpr std::uint8_t kIpv6 = 41;

bool is_among(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

std::uint16_t port_at(const AttributeMap& attributes, std::uint16_t type, std::uint16_t otherwise) {
  const auto at = attributes.find(type);
  if (at == attributes.end() || at->second.size() != 2) return otherwise;
  return static_cast<std::uint16_t>(at->second[0] << 8 | at->second[1]);
}

// The first of these attributes that holds an address of anybody's.
std::optional<net::Address> address_among(const AttributeMap& attributes,
                                          std::initializer_list<std::uint16_t> types) {
  for (const std::uint16_t type : types) {
    const auto found = address(attributes, type);
    if (found && *found != net::Address{net::Ipv4{}} && *found != net::Address{net::Ipv6{}}) {
      return found;
    }
  }
  return std::nullopt;
}

void add_peer(TunnelLink& link, std::optional<net::Address> local,
              std::optional<net::Address> remote) {
  if (remote) link.peers.push_back({.local = local, .remote = *remote, .port = link.port});
}

// Of a flag that older kernels say by its being there, and vxlan by its value.
bool is_set(const AttributeMap& data, std::uint16_t type) {
  const auto at = data.find(type);
  return at != data.end() && (at->second.empty() || at->second[0] != 0);
}

// IFLA_INFO_DATA of each kind.
void take_parameters(TunnelLink& link, const AttributeMap& data) {
  constexpr std::uint16_t kVxlanPort = 4789;  // IANA's; the kernel always says which
  constexpr std::uint16_t kGenevePort = 6081;
  if (link.kind == "vxlan") {
    link.protocol = net::protocol::kUdp;
    link.port = port_at(data, IFLA_VXLAN_PORT, kVxlanPort);
    link.is_told = is_set(data, IFLA_VXLAN_COLLECT_METADATA);
    add_peer(link, address_among(data, {IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6}),
             address_among(data, {IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6}));
  } else if (link.kind == "geneve") {
    link.protocol = net::protocol::kUdp;
    link.port = port_at(data, IFLA_GENEVE_PORT, kGenevePort);
    link.is_told = is_set(data, IFLA_GENEVE_COLLECT_METADATA);
    add_peer(link, std::nullopt, address_among(data, {IFLA_GENEVE_REMOTE, IFLA_GENEVE_REMOTE6}));
  } else if (is_among(link.kind, {"gre", "gretap", "erspan", "ip6gre", "ip6gretap"})) {
    link.protocol = net::protocol::kGre;
    link.is_told = is_set(data, IFLA_GRE_COLLECT_METADATA);
    add_peer(link, address_among(data, {IFLA_GRE_LOCAL}), address_among(data, {IFLA_GRE_REMOTE}));
  } else if (is_among(link.kind, {"ipip", "sit", "ip6tnl"})) {
    const auto inner = data.find(IFLA_IPTUN_PROTO);
    link.protocol = link.kind == "sit" ? kIpv6 : kIpip;
    link.is_told = is_set(data, IFLA_IPTUN_COLLECT_METADATA);
    // ip6tnl: 0 for both, of which IPv6 is the one that a kernel makes by default.
    if (link.kind == "ip6tnl" &&
        (inner == data.end() || inner->second.empty() || inner->second[0] != kIpip)) {
      link.protocol = kIpv6;
    }
    add_peer(link, address_among(data, {IFLA_IPTUN_LOCAL}),
             address_among(data, {IFLA_IPTUN_REMOTE}));
  }
}

struct Link {
  std::string device;
  std::string kind;
  std::uint32_t master = 0;  // the bridge or bond that it belongs to
  std::uint32_t below = 0;   // what a VLAN stands on
};
using Links = std::map<std::uint32_t, Link>;

// Every device whose packets go out by `index`. What comes to a bridge by one port goes out by
// another: a veth there is the end of one that somebody may use.
void add_carried(const Links& links, std::uint32_t index, std::vector<std::string>& carried) {
  const Link& here = links.at(index);
  for (const auto& [other, link] : links) {
    const bool stands_on = is_among(link.kind, {"vlan", "macvlan", "ipvlan"});
    const bool is_other_end = link.kind == "veth" && here.kind == "veth" && link.below == index;
    const bool is_other_port = link.kind == "veth" && here.kind == "bridge" && link.master == index;
    const bool above =
        here.master == other || (stands_on && link.below == index) || is_other_end || is_other_port;
    if (!above || std::ranges::find(carried, link.device) != carried.end()) continue;
    carried.push_back(link.device);
    add_carried(links, other, carried);
  }
}

// vxlan: peers that were told of one by one.
Result<void> read_forwarding_entries(RouteDumper& dumper,
                                     std::map<std::uint32_t, TunnelLink>& tunnels) {
  return dumper.dump(
      RTM_GETNEIGH, sizeof(ndmsg), PF_BRIDGE, "bridge entries", [&](const nlmsghdr& message) {
        const auto& entry = header_of<ndmsg>(message);
        const auto at = tunnels.find(static_cast<std::uint32_t>(entry.ndm_ifindex));
        if (at == tunnels.end() || at->second.kind != "vxlan") return;
        const auto to = address_among(attributes_of<ndmsg>(message), {NDA_DST});
        TunnelLink& link = at->second;
        const bool known =
            to && std::ranges::find(link.peers, *to, &TunnelPeer::remote) != link.peers.end();
        if (to && !known) add_peer(link, std::nullopt, to);
      });
}

// To whom a route tells a tunnel to send: `encap ip` and `encap ip6`.
void add_told_peer(TunnelLink& link, const AttributeMap& route) {
  const auto kind = route.find(RTA_ENCAP_TYPE);
  const auto said = route.find(RTA_ENCAP);
  if (kind == route.end() || kind->second.size() != 2 || said == route.end()) return;
  const AttributeMap to = attributes_in(said->second);
  const std::uint16_t type = native_u16(kind->second.data());
  std::optional<net::Address> local;
  std::optional<net::Address> remote;
  if (type == LWTUNNEL_ENCAP_IP) {
    local = address_among(to, {LWTUNNEL_IP_SRC});
    remote = address_among(to, {LWTUNNEL_IP_DST});
  } else if (type == LWTUNNEL_ENCAP_IP6) {
    local = address_among(to, {LWTUNNEL_IP6_SRC});
    remote = address_among(to, {LWTUNNEL_IP6_DST});
  }
  const bool is_known =
      remote && std::ranges::find(link.peers, *remote, &TunnelPeer::remote) != link.peers.end();
  if (!is_known) add_peer(link, local, remote);
}

// Of tunnels that are told for each packet. What a program, a nexthop object or tc tells stays
// unknown.
Result<void> read_told_peers(RouteDumper& dumper, std::map<std::uint32_t, TunnelLink>& tunnels) {
  const auto take = [&](std::uint32_t index, const AttributeMap& route) {
    const auto at = tunnels.find(index);
    if (at != tunnels.end() && at->second.is_told) add_told_peer(at->second, route);
  };
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    TRY(dumper.dump(RTM_GETROUTE, sizeof(rtmsg), family, "routes", [&](const nlmsghdr& message) {
      const AttributeMap route = attributes_of<rtmsg>(message);
      take(number(route, RTA_OIF), route);
      const auto hops = route.find(RTA_MULTIPATH);
      if (hops == route.end()) return;
      for_each_next_hop(hops->second, [&](const rtnexthop& hop, const AttributeMap& told) {
        take(static_cast<std::uint32_t>(hop.rtnh_ifindex), told);
      });
    }));
  }
  return {};
}

std::optional<TunnelPeer> peer_at(View endpoint) {
  if (endpoint.size() == sizeof(sockaddr_in)) {
    sockaddr_in to{};
    std::memcpy(&to, endpoint.data(), sizeof to);
    return TunnelPeer{
        .local = {}, .remote = net::Ipv4{ntohl(to.sin_addr.s_addr)}, .port = ntohs(to.sin_port)};
  }
  if (endpoint.size() == sizeof(sockaddr_in6)) {
    sockaddr_in6 to{};
    std::memcpy(&to, endpoint.data(), sizeof to);
    return TunnelPeer{.local = {},
                      .remote = net::ipv6_from_bytes(to.sin6_addr.s6_addr),
                      .port = ntohs(to.sin6_port)};
  }
  return std::nullopt;
}

std::vector<std::uint8_t> generic_request(std::uint16_t family, std::uint16_t flags,
                                          std::uint8_t command, std::uint8_t version,
                                          std::uint16_t name_type, std::string_view name) {
  std::vector<char> buffer(MNL_SOCKET_BUFFER_SIZE);
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = family;
  request->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  auto* header = static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(request, sizeof(genlmsghdr)));
  header->cmd = command;
  header->version = version;
  mnl_attr_put_strz(request, name_type, std::string(name).c_str());
  return {buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(request->nlmsg_len)};
}

// Where it cannot be asked, nothing is known of its peers.
void read_wireguard(TunnelLink& link) {
  const SocketPtr socket = open_socket(NETLINK_GENERIC);
  if (!socket) return;
  std::uint16_t family = 0;
  const auto ask = generic_request(GENL_ID_CTRL, NLM_F_ACK, CTRL_CMD_GETFAMILY, 1,
                                   CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
  const auto take_family = [&](const nlmsghdr& message) {
    const AttributeMap attributes = attributes_of<genlmsghdr>(message);
    const auto id = attributes.find(CTRL_ATTR_FAMILY_ID);
    if (id != attributes.end() && id->second.size() == 2) family = native_u16(id->second.data());
  };
  if (exchange(socket.get(), ask, take_family) != 0 || family == 0) return;
  const auto dump = generic_request(family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION,
                                    WGDEVICE_A_IFNAME, link.device);
  [[maybe_unused]] const int error =
      exchange(socket.get(), dump, [&](const nlmsghdr& message) { add_wireguard(message, link); });
}

}  // namespace

std::optional<TunnelLink> tunnel_of(const nlmsghdr& link) {
  const AttributeMap attributes = attributes_of<ifinfomsg>(link);
  const auto info = attributes.find(IFLA_LINKINFO);
  if (info == attributes.end()) return std::nullopt;
  const AttributeMap parts = attributes_in(info->second);
  TunnelLink tunnel;
  tunnel.device = text(attributes, IFLA_IFNAME);
  tunnel.kind = text(parts, IFLA_INFO_KIND);
  if (!ruleset::is_tunnel(tunnel.kind)) return std::nullopt;
  const auto data = parts.find(IFLA_INFO_DATA);
  if (data != parts.end()) take_parameters(tunnel, attributes_in(data->second));
  return tunnel;
}

void add_wireguard(const nlmsghdr& device, TunnelLink& to) {
  to.protocol = net::protocol::kUdp;
  const AttributeMap attributes = attributes_of<genlmsghdr>(device);
  const auto port = attributes.find(WGDEVICE_A_LISTEN_PORT);
  if (port != attributes.end() && port->second.size() == 2) {
    to.port = native_u16(port->second.data());
  }
  const auto peers = attributes.find(WGDEVICE_A_PEERS);
  if (peers == attributes.end()) return;
  for_each_attribute(peers->second, [&](std::uint16_t, View peer) {
    if (const auto found = peer_at(find_attribute(peer, WGPEER_A_ENDPOINT))) {
      to.peers.push_back(*found);
    }
  });
}

Result<std::vector<TunnelLink>> read_tunnels() {
  auto dumper = RouteDumper::open();
  if (!dumper) return std::unexpected(std::move(dumper).error());
  Links links;
  std::map<std::uint32_t, TunnelLink> tunnels;
  TRY(dumper->dump(
      RTM_GETLINK, sizeof(ifinfomsg), AF_UNSPEC, "interfaces", [&](const nlmsghdr& message) {
        const auto index = static_cast<std::uint32_t>(header_of<ifinfomsg>(message).ifi_index);
        const AttributeMap attributes = attributes_of<ifinfomsg>(message);
        Link& link = links[index];
        link.device = text(attributes, IFLA_IFNAME);
        link.master = number(attributes, IFLA_MASTER);
        if (!attributes.contains(IFLA_LINK_NETNSID)) {
          link.below = number(attributes, IFLA_LINK);
        }
        if (const auto info = attributes.find(IFLA_LINKINFO); info != attributes.end()) {
          link.kind = text(attributes_in(info->second), IFLA_INFO_KIND);
        }
        if (auto tunnel = tunnel_of(message)) tunnels[index] = std::move(*tunnel);
      }));
  if (std::ranges::any_of(tunnels, [](const auto& each) { return each.second.kind == "vxlan"; })) {
    TRY(read_forwarding_entries(*dumper, tunnels));
  }
  if (std::ranges::any_of(tunnels, [](const auto& each) { return each.second.is_told; })) {
    TRY(read_told_peers(*dumper, tunnels));
  }
  std::vector<TunnelLink> found;
  for (auto& [index, tunnel] : tunnels) {
    if (tunnel.kind == "wireguard") read_wireguard(tunnel);
    if (const auto lower = links.find(links[index].below); lower != links.end()) {
      tunnel.below = lower->second.device;
    }
    add_carried(links, index, tunnel.carries);
    found.push_back(std::move(tunnel));
  }
  return found;
}

}  // namespace rolewall::netlink
