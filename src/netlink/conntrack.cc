#include "netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

constexpr std::uint16_t type_of(int message) {
  return nfnetlink_type(NFNL_SUBSYS_CTNETLINK, message);
}

std::optional<net::Address> address_in(View tuple, std::uint16_t ipv4, std::uint16_t ipv6) {
  const View ip = find_attribute(tuple, CTA_TUPLE_IP);
  if (const View v4 = find_attribute(ip, ipv4); v4.size() == 4) {
    return net::address_from_bytes(v4);
  }
  if (const View v6 = find_attribute(ip, ipv6); v6.size() == 16) {
    return net::address_from_bytes(v6);
  }
  return std::nullopt;
}
std::optional<net::Address> source_of(View tuple) {
  return address_in(tuple, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
}
std::optional<net::Address> destination_of(View tuple) {
  return address_in(tuple, CTA_IP_V4_DST, CTA_IP_V6_DST);
}

std::uint16_t port_in(View tuple, std::uint16_t type) {
  const View port = find_attribute(find_attribute(tuple, CTA_TUPLE_PROTO), type);
  return port.size() == 2 ? static_cast<std::uint16_t>(port[0] << 8 | port[1]) : 0;
}

}  // namespace

Result<std::vector<Endpoint>> read_udp_peers(std::uint16_t port) {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot read the connections", errno);
  std::vector<std::uint8_t> request;
  Writer dump(request);
  dump.end_message(dump.begin_message(type_of(IPCTNL_MSG_CT_GET), NLM_F_DUMP, AF_UNSPEC));
  std::vector<Endpoint> peers;
  const int error = exchange(socket.get(), request, [&](const nlmsghdr& message) {
    const auto* begin =
        static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
    const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
    for (const std::uint16_t direction : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY}) {
      const View tuple = find_attribute({begin, end}, direction);
      const View transport = find_attribute(tuple, CTA_TUPLE_PROTO);
      const View protocol = find_attribute(transport, CTA_PROTO_NUM);
      const View from = find_attribute(transport, CTA_PROTO_SRC_PORT);
      const View to = find_attribute(transport, CTA_PROTO_DST_PORT);
      const auto source = source_of(tuple);
      if (protocol.empty() || protocol[0] != IPPROTO_UDP || from.size() != 2 || to.size() != 2 ||
          (to[0] << 8 | to[1]) != port || !source) {
        continue;
      }
      peers.push_back(
          {.address = *source, .port = static_cast<std::uint16_t>(from[0] << 8 | from[1])});
    }
  });
  if (error != 0) return failed("cannot read the connections", error);
  return peers;
}

Result<std::vector<TrackedFlow>> read_flows_with(
    const std::function<bool(const net::Address&)>& is_one) {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot read the connections", errno);
  std::vector<std::uint8_t> request;
  Writer dump(request);
  dump.end_message(dump.begin_message(type_of(IPCTNL_MSG_CT_GET), NLM_F_DUMP, AF_UNSPEC));
  std::vector<TrackedFlow> flows;
  const int error = exchange(socket.get(), request, [&](const nlmsghdr& message) {
    const auto* begin =
        static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
    const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
    const View original = find_attribute({begin, end}, CTA_TUPLE_ORIG);
    const View reply = find_attribute({begin, end}, CTA_TUPLE_REPLY);
    const auto from = source_of(original);
    const auto to = destination_of(original);
    const auto answered_by = source_of(reply);
    if (!from || !to || !answered_by || (!is_one(*from) && !is_one(*answered_by))) return;
    const View protocol = find_attribute(find_attribute(original, CTA_TUPLE_PROTO), CTA_PROTO_NUM);
    if (protocol.empty()) return;
    flows.push_back({.protocol = protocol[0],
                     .from = {*from, port_in(original, CTA_PROTO_SRC_PORT)},
                     .to = {*to, port_in(original, CTA_PROTO_DST_PORT)},
                     .answered_by = {*answered_by, port_in(reply, CTA_PROTO_SRC_PORT)}});
  });
  if (error != 0) return failed("cannot read the connections", error);
  return flows;
}

Result<void> forget_connections() {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot forget all connections", errno);
  // Without a tuple it is about all.
  std::vector<std::uint8_t> request;
  Writer flush(request);
  flush.end_message(flush.begin_message(type_of(IPCTNL_MSG_CT_DELETE), NLM_F_ACK, AF_UNSPEC));
  const int error = exchange(socket.get(), request, [](const nlmsghdr&) {});
  if (error != 0) return failed("cannot forget all connections", error);
  return {};
}

}  // namespace rolewall::netlink
