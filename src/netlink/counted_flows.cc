#include "netlink/counted_flows.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

// A million entries end within a second when a table is flushed.
constexpr EventSocket::Room kRoomForEnds{.datagram = 8192, .at_once = 64, .waiting = 16 << 20};

std::optional<net::Address> counted_address(View tuple, std::uint16_t ipv4, std::uint16_t ipv6) {
  const View ip = find_attribute(tuple, CTA_TUPLE_IP);
  if (const View v4 = find_attribute(ip, ipv4); v4.size() == 4) return net::address_from_bytes(v4);
  if (const View v6 = find_attribute(ip, ipv6); v6.size() == 16) return net::address_from_bytes(v6);
  return std::nullopt;
}

std::uint16_t counted_port(View transport, std::uint16_t type) {
  const View port = find_attribute(transport, type);
  return port.size() == 2 ? static_cast<std::uint16_t>(port[0] << 8 | port[1]) : 0;
}

std::uint64_t big_endian(View bytes) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

std::optional<FlowCount> count_in(View counters) {
  const View packets = find_attribute(counters, CTA_COUNTERS_PACKETS);
  const View bytes = find_attribute(counters, CTA_COUNTERS_BYTES);
  if (packets.size() != 8 || bytes.size() != 8) return std::nullopt;
  return FlowCount{.packets = big_endian(packets), .bytes = big_endian(bytes)};
}

// In TIME_WAIT, or closed (linux/netfilter/nf_conntrack_tcp.h).
bool is_over(View attributes) {
  const View tcp = find_attribute(find_attribute(attributes, CTA_PROTOINFO), CTA_PROTOINFO_TCP);
  const View state = find_attribute(tcp, CTA_PROTOINFO_TCP_STATE);
  return !state.empty() && (state[0] == TCP_CONNTRACK_TIME_WAIT || state[0] == TCP_CONNTRACK_CLOSE);
}

// std::nullopt for what has no addresses of IP.
std::optional<CountedFlow> counted_flow(View attributes) {
  const View original = find_attribute(attributes, CTA_TUPLE_ORIG);
  const View reply = find_attribute(attributes, CTA_TUPLE_REPLY);
  const View transport = find_attribute(original, CTA_TUPLE_PROTO);
  const View protocol = find_attribute(transport, CTA_PROTO_NUM);
  const auto from = counted_address(original, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  const auto to = counted_address(original, CTA_IP_V4_DST, CTA_IP_V6_DST);
  const auto answered_by = counted_address(reply, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  if (!from || !to || !answered_by || protocol.empty()) return std::nullopt;
  CountedFlow flow{.id = 0,
                   .protocol = protocol[0],
                   .from = {*from, counted_port(transport, CTA_PROTO_SRC_PORT)},
                   .to = {*to, counted_port(transport, CTA_PROTO_DST_PORT)},
                   .answered_by = *answered_by,
                   .is_over = is_over(attributes),
                   .there = count_in(find_attribute(attributes, CTA_COUNTERS_ORIG)),
                   .back = count_in(find_attribute(attributes, CTA_COUNTERS_REPLY))};
  // The kernel's own is a hash of 32 bits (nf_ct_get_id): two of a million have the same.
  flow.id = big_endian(find_attribute(attributes, CTA_ID)) << 32 |
            std::uint64_t{flow.from.port} << 16 | flow.to.port;
  return flow;
}

}  // namespace

Result<void> read_counted_flows(const std::function<void(const CountedFlow&)>& visit) {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot read the connections", errno);
  std::vector<std::uint8_t> request;
  Writer dump(request);
  dump.end_message(dump.begin_message(nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET),
                                      NLM_F_DUMP, AF_UNSPEC));
  const int error = exchange(socket.get(), request, [&](const nlmsghdr& message) {
    const auto* begin =
        static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
    const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
    if (const auto flow = counted_flow({begin, end})) visit(*flow);
  });
  if (error != 0) return failed("cannot read the connections", error);
  return {};
}

Result<EndedFlows> EndedFlows::listen() {
  auto socket = EventSocket::open(kRoomForEnds);
  if (!socket) return std::unexpected(std::move(socket).error());
  TRY(socket->join(NFNLGRP_CONNTRACK_DESTROY));
  return EndedFlows(std::move(*socket));
}

Result<void> EndedFlows::read(const std::function<void(const CountedFlow&)>& visit) {
  return socket_.read(0, [&](const Answer& message) {
    if (message.type != nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE)) return;
    if (const auto flow = counted_flow(message.attributes)) visit(*flow);
  });
}

}  // namespace rolewall::netlink
