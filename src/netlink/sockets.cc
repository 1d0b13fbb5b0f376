#include "netlink/sockets.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "net/mapped_address.h"
#include "netlink/conntrack_entry.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

net::Address address_of(std::uint8_t family, const __be32* words) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), words, bytes.size());
  if (family == AF_INET) return net::ipv4_from_bytes(bytes.data());
  return net::unmapped(net::ipv6_from_bytes(bytes.data()));
}

// Nothing is known of the windows of a session whose start was not seen.
void put_tcp_state(Writer& writer) {
  constexpr std::uint8_t kLiberal = IP_CT_TCP_FLAG_BE_LIBERAL | IP_CT_TCP_FLAG_SACK_PERM;
  constexpr std::array<std::uint8_t, 2> kFlags{kLiberal, kLiberal};  // nf_ct_tcp_flags
  const std::size_t info = writer.begin_nest(CTA_PROTOINFO);
  const std::size_t tcp = writer.begin_nest(CTA_PROTOINFO_TCP);
  writer.u8(CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
  writer.put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, kFlags);
  writer.put(CTA_PROTOINFO_TCP_FLAGS_REPLY, kFlags);
  writer.end_nest(tcp);
  writer.end_nest(info);
}

constexpr std::uint8_t kEstablished = 1;  // TCP_ESTABLISHED of linux/tcp.h
constexpr std::uint8_t kUnconnected = 7;  // TCP_CLOSE: of a UDP socket without a peer
constexpr std::uint8_t kListen = 10;      // TCP_LISTEN

// Of both families. `states`: a bit for each.
Result<void> dump_sockets(std::uint8_t protocol, std::uint32_t states,
                          const std::function<void(const nlmsghdr&)>& visit) {
  const SocketPtr socket = open_socket(NETLINK_SOCK_DIAG);
  if (!socket) return failed("cannot read the sockets", errno);
  for (const auto family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    std::array<char, 256> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* query = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
    query->sdiag_family = family;
    query->sdiag_protocol = protocol;
    query->idiag_states = states;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(request);
    const int error = exchange(socket.get(), {bytes, request->nlmsg_len}, visit);
    if (error != 0) return failed("cannot read the sockets", error);
  }
  return {};
}

// The attribute `type` of a socket; empty where it has none.
View attribute_of(const nlmsghdr& message, std::uint16_t wanted) {
  const auto* begin = static_cast<const std::uint8_t*>(
      mnl_nlmsg_get_payload_offset(&message, sizeof(inet_diag_msg)));
  const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
  return find_attribute({begin, end}, wanted);
}

bool is_ipv6_only(const nlmsghdr& message) {
  const View only = attribute_of(message, INET_DIAG_SKV6ONLY);
  return !only.empty() && only[0] != 0;
}

// One end of a conntrack tuple.
std::optional<Endpoint> end_of(View tuple, std::uint16_t ipv4, std::uint16_t ipv6,
                               std::uint16_t port_type) {
  const View ip = find_attribute(tuple, CTA_TUPLE_IP);
  const View port = find_attribute(find_attribute(tuple, CTA_TUPLE_PROTO), port_type);
  const View v4 = find_attribute(ip, ipv4);
  const View v6 = find_attribute(ip, ipv6);
  if (port.size() != 2 || (v4.size() != 4 && v6.size() != 16)) return std::nullopt;
  return Endpoint{.address = net::address_from_bytes(v4.size() == 4 ? v4 : v6),
                  .port = static_cast<std::uint16_t>(port[0] << 8 | port[1])};
}

}  // namespace

Result<TcpSockets> read_tcp_sockets() {
  TcpSockets sockets;
  TRY(dump_sockets(IPPROTO_TCP, 1U << kEstablished | 1U << kListen, [&](const nlmsghdr& message) {
    const auto& found = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
    const TcpSocket entry{.local = address_of(found.idiag_family, found.id.idiag_src),
                          .local_port = ntohs(found.id.idiag_sport),
                          .remote = address_of(found.idiag_family, found.id.idiag_dst),
                          .remote_port = ntohs(found.id.idiag_dport),
                          .inode = found.idiag_inode,
                          .device = found.id.idiag_if,
                          .user = found.idiag_uid};
    (found.idiag_state == kListen ? sockets.listening : sockets.established).push_back(entry);
  }));
  return sockets;
}

Result<std::vector<Listener>> read_listeners() {
  std::vector<Listener> listeners;
  for (const auto protocol : {std::uint8_t{IPPROTO_TCP}, std::uint8_t{IPPROTO_UDP}}) {
    const std::uint8_t state = protocol == IPPROTO_TCP ? kListen : kUnconnected;
    TRY(dump_sockets(protocol, 1U << state, [&](const nlmsghdr& message) {
      const auto& found = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
      if (found.id.idiag_sport == 0) return;
      Listener listener{.protocol = protocol,
                        .address = address_of(found.idiag_family, found.id.idiag_src),
                        .port = ntohs(found.id.idiag_sport),
                        .both_families = false,
                        .inode = found.idiag_inode};
      if (found.idiag_family == AF_INET6 && listener.address == net::Address{net::Ipv6{}}) {
        listener.both_families = !is_ipv6_only(message);
      }
      listeners.push_back(listener);
    }));
  }
  return listeners;
}

Result<std::vector<UdpSocket>> read_udp_sockets() {
  std::vector<UdpSocket> sockets;
  constexpr std::uint32_t kStates = 1U << kEstablished | 1U << kUnconnected;
  TRY(dump_sockets(IPPROTO_UDP, kStates, [&](const nlmsghdr& message) {
    const auto& found = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
    if (found.id.idiag_sport == 0) return;
    sockets.push_back({.local = address_of(found.idiag_family, found.id.idiag_src),
                       .local_port = ntohs(found.id.idiag_sport),
                       .remote = address_of(found.idiag_family, found.id.idiag_dst),
                       .remote_port = ntohs(found.id.idiag_dport),
                       .inode = found.idiag_inode});
  }));
  return sockets;
}

// Of a connection that is over the kernel does not tell; its listener is there as long, or was.
Result<std::optional<bool>> has_transparent_sockets() {
  constexpr std::uint32_t kTimeWait = 6;  // TCP_TIME_WAIT
  bool all_tell = true;
  bool found = false;
  for (const auto protocol : {std::uint8_t{IPPROTO_TCP}, std::uint8_t{IPPROTO_UDP}}) {
    TRY(dump_sockets(protocol, ~(1U << kTimeWait), [&](const nlmsghdr& message) {
      const View options = attribute_of(message, INET_DIAG_SOCKOPT);
      inet_diag_sockopt bits{};
      if (options.size() < sizeof bits) {
        all_tell = false;
        return;
      }
      std::memcpy(&bits, options.data(), sizeof bits);
      found = found || bits.transparent != 0;
    }));
  }
  if (!found && !all_tell) return std::optional<bool>();
  return std::optional(found);
}

Result<std::optional<Flow>> read_original_flow(const TcpSocket& session) {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot read a conntrack entry", errno);
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin =
      writer.begin_message(nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET), NLM_F_ACK,
                           net::is_ipv4(session.local) ? AF_INET : AF_INET6);
  // What this host answers is the reply, after any translation.
  put_tuple(
      writer, CTA_TUPLE_REPLY,
      {IPPROTO_TCP, {session.local, session.local_port}, {session.remote, session.remote_port}});
  writer.end_message(begin);
  std::optional<Flow> found;
  const int error = exchange(socket.get(), bytes, [&](const nlmsghdr& message) {
    const auto* first =
        static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(nfgenmsg)));
    const auto* last = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
    const View entry{first, last};
    const View original = find_attribute(entry, CTA_TUPLE_ORIG);
    const auto from = end_of(original, CTA_IP_V4_SRC, CTA_IP_V6_SRC, CTA_PROTO_SRC_PORT);
    const auto to = end_of(original, CTA_IP_V4_DST, CTA_IP_V6_DST, CTA_PROTO_DST_PORT);
    if (!from || !to) return;
    found = Flow{.from = *from, .to = *to, .opener_is_known = !is_met_midway(entry)};
  });
  if (error == 0 || error == ENOENT) return found;
  return failed("cannot read a conntrack entry", error);
}

Result<void> ensure_conntrack_entry(const TcpSocket& session, bool opened_by_remote,
                                    std::uint8_t protocol) {
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed("cannot write a conntrack entry", errno);
  Endpoint from{session.local, session.local_port};
  Endpoint to{session.remote, session.remote_port};
  if (opened_by_remote) std::swap(from, to);
  constexpr std::uint32_t kStatus =
      IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED | IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
  // The kernel's for an established session, and for UDP that was answered.
  const std::uint32_t timeout_seconds = protocol == IPPROTO_TCP ? 432000 : 120;
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin = writer.begin_message(
      nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW),
      NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, net::is_ipv4(from.address) ? AF_INET : AF_INET6);
  put_tuple(writer, CTA_TUPLE_ORIG, {protocol, from, to});
  put_tuple(writer, CTA_TUPLE_REPLY, {protocol, to, from});
  writer.be32(CTA_STATUS, kStatus);
  writer.be32(CTA_TIMEOUT, timeout_seconds);
  if (protocol == IPPROTO_TCP) put_tcp_state(writer);
  writer.end_message(begin);
  const int error = exchange(socket.get(), bytes, [](const nlmsghdr&) {});
  if (error == 0 || error == EEXIST) return {};
  return failed("cannot write a conntrack entry", error);
}

}  // namespace rolewall::netlink
