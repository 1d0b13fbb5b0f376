#include "netlink/conntrack_entry.h"

#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

std::optional<net::Address> tuple_address(View tuple, std::uint16_t ipv4, std::uint16_t ipv6) {
  const View ip = find_attribute(tuple, CTA_TUPLE_IP);
  if (const View v4 = find_attribute(ip, ipv4); v4.size() == 4) return net::address_from_bytes(v4);
  if (const View v6 = find_attribute(ip, ipv6); v6.size() == 16) return net::address_from_bytes(v6);
  return std::nullopt;
}

std::uint16_t tuple_port(View transport, std::uint16_t type) {
  const View port = find_attribute(transport, type);
  return port.size() == 2 ? static_cast<std::uint16_t>(port[0] << 8 | port[1]) : 0;
}

std::optional<std::uint8_t> icmp_type_in(View transport) {
  for (const std::uint16_t type : {CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_TYPE}) {
    if (const View told = find_attribute(transport, type); told.size() == 1) return told[0];
  }
  return std::nullopt;
}

View tcp_of(View entry) {
  return find_attribute(find_attribute(entry, CTA_PROTOINFO), CTA_PROTOINFO_TCP);
}

void put_ends(Writer& to, const ConntrackTuple& tuple) {
  const bool is_icmp = tuple.protocol == IPPROTO_ICMP;
  if (!is_icmp && tuple.protocol != IPPROTO_ICMPV6) {
    // A protocol without ports has nobody who reads them.
    to.be16(CTA_PROTO_SRC_PORT, tuple.from.port);
    to.be16(CTA_PROTO_DST_PORT, tuple.to.port);
    return;
  }
  to.be16(is_icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, tuple.from.port);
  to.u8(is_icmp ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
        static_cast<std::uint8_t>(tuple.to.port >> 8));
  to.u8(is_icmp ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE,
        static_cast<std::uint8_t>(tuple.to.port));
}

}  // namespace

void put_tuple(Writer& to, std::uint16_t type, const ConntrackTuple& tuple) {
  const bool v4 = net::is_ipv4(tuple.from.address);
  const std::size_t whole = to.begin_nest(type);
  const std::size_t ip = to.begin_nest(CTA_TUPLE_IP);
  to.put(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, net::to_bytes(tuple.from.address));
  to.put(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, net::to_bytes(tuple.to.address));
  to.end_nest(ip);
  const std::size_t transport = to.begin_nest(CTA_TUPLE_PROTO);
  to.u8(CTA_PROTO_NUM, tuple.protocol);
  put_ends(to, tuple);
  to.end_nest(transport);
  to.end_nest(whole);
}

std::optional<ConntrackTuple> tuple_in(View entry, std::uint16_t direction) {
  const View tuple = find_attribute(entry, direction);
  const View transport = find_attribute(tuple, CTA_TUPLE_PROTO);
  const View protocol = find_attribute(transport, CTA_PROTO_NUM);
  const auto from = tuple_address(tuple, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  const auto to = tuple_address(tuple, CTA_IP_V4_DST, CTA_IP_V6_DST);
  if (!from || !to || protocol.empty()) return std::nullopt;
  return ConntrackTuple{protocol[0],
                        {*from, tuple_port(transport, CTA_PROTO_SRC_PORT)},
                        {*to, tuple_port(transport, CTA_PROTO_DST_PORT)},
                        icmp_type_in(transport)};
}

bool is_over(View entry) {
  const View state = find_attribute(tcp_of(entry), CTA_PROTOINFO_TCP_STATE);
  return !state.empty() && (state[0] == TCP_CONNTRACK_TIME_WAIT || state[0] == TCP_CONNTRACK_CLOSE);
}

bool is_met_midway(View entry) {
  const View flags = find_attribute(tcp_of(entry), CTA_PROTOINFO_TCP_FLAGS_ORIGINAL);
  return !flags.empty() && (flags[0] & IP_CT_TCP_FLAG_BE_LIBERAL) != 0;
}

std::uint32_t status_in(View entry) {
  std::uint32_t status = 0;
  const View bytes = find_attribute(entry, CTA_STATUS);
  if (bytes.size() != sizeof status) return 0;
  std::memcpy(&status, bytes.data(), sizeof status);
  return ntohl(status);
}

Result<void> dump_entries(const std::function<void(View entry, std::uint8_t family)>& visit) {
  constexpr const char* kCannotRead = "cannot read the open connections";
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed(kCannotRead, errno);
  std::vector<std::uint8_t> request;
  Writer dump(request);
  dump.end_message(dump.begin_message(nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET),
                                      NLM_F_DUMP, AF_UNSPEC));
  const int error = exchange(socket.get(), request, [&](const nlmsghdr& message) {
    const auto* header = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(&message));
    const auto* begin =
        static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof *header));
    const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
    visit({begin, end}, header->nfgen_family);
  });
  if (error != 0) return failed(kCannotRead, error);
  return {};
}

}  // namespace rolewall::netlink
