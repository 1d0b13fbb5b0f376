#include "netlink/open_connections.h"

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <tuple>

#include "net/mapped_address.h"
#include "netlink/conntrack_entry.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

constexpr const char* kCannotRead = "cannot read the open connections";
constexpr const char* kCannotEnd = "cannot end a connection";

std::uint8_t byte_of(View attributes, std::uint16_t type) {
  const View payload = find_attribute(attributes, type);
  return payload.size() == 1 ? payload[0] : std::uint8_t{0};
}

std::uint32_t be32_of(View attributes, std::uint16_t type) {
  const View bytes = find_attribute(attributes, type);
  if (bytes.size() != 4) return 0;
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

std::optional<OpenConnection> connection_in(View entry, std::uint8_t family) {
  const auto there = tuple_in(entry, CTA_TUPLE_ORIG);
  const auto back = tuple_in(entry, CTA_TUPLE_REPLY);
  if (!there || !back) return std::nullopt;
  const View original = find_attribute(entry, CTA_TUPLE_ORIG);
  const View transport = find_attribute(original, CTA_TUPLE_PROTO);
  const View zone = find_attribute(entry, CTA_ZONE);
  const bool ipv6 = !net::is_ipv4(there->from.address);
  const bool tcp = there->protocol == IPPROTO_TCP;
  const std::uint32_t status = status_in(entry);
  return OpenConnection{
      .protocol = there->protocol,
      .from = there->from,
      .to = there->to,
      .answered_by = back->from,
      .answered_to = back->to,
      .icmp_type = there->icmp_type.value_or(0),
      .icmp_code = byte_of(transport, ipv6 ? CTA_PROTO_ICMPV6_CODE : CTA_PROTO_ICMP_CODE),
      .is_expected = (status & IPS_EXPECTED) != 0,
      .announced_by = tuple_in(entry, CTA_TUPLE_MASTER),
      .is_answered = (status & IPS_SEEN_REPLY) != 0,
      .is_over = tcp && is_over(entry),
      .opener_is_known = tcp && !is_met_midway(entry),
      .id = be32_of(entry, CTA_ID),
      .family = family,
      .original = {original.begin(), original.end()},
      .zone = {zone.begin(), zone.end()}};
}

// A TCP socket as sock_diag names it, with what SOCK_DESTROY wants back.
struct Diagnosed {
  std::uint8_t family = AF_INET;
  inet_diag_sockid id{};
  std::uint32_t user = 0;
};
using Pair = std::tuple<net::Address, std::uint16_t, net::Address, std::uint16_t>;
using Sockets = std::multimap<Pair, Diagnosed>;

net::Address unmapped_of(std::uint8_t family, const __be32* words) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), words, bytes.size());
  if (family == AF_INET) return net::ipv4_from_bytes(bytes.data());
  return net::unmapped(net::ipv6_from_bytes(bytes.data()));
}

// Of both families, those with another end that may still be sent to.
Result<Sockets> connected_sockets() {
  constexpr std::uint32_t kTimeWait = 6;  // TCP_TIME_WAIT, TCP_CLOSE, TCP_LISTEN of linux/tcp.h
  constexpr std::uint32_t kClosed = 7;
  constexpr std::uint32_t kListens = 10;
  Sockets sockets;
  const SocketPtr socket = open_socket(NETLINK_SOCK_DIAG);
  if (!socket) return failed(kCannotRead, errno);
  for (const auto family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
    std::array<char, 256> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* query = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
    query->sdiag_family = family;
    query->sdiag_protocol = IPPROTO_TCP;
    query->idiag_states = ~(1U << kTimeWait | 1U << kClosed | 1U << kListens);
    const int error = exchange(
        socket.get(), {reinterpret_cast<const std::uint8_t*>(request), request->nlmsg_len},
        [&](const nlmsghdr& message) {
          const auto& found = *static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(&message));
          const Pair pair{
              unmapped_of(found.idiag_family, found.id.idiag_src), ntohs(found.id.idiag_sport),
              unmapped_of(found.idiag_family, found.id.idiag_dst), ntohs(found.id.idiag_dport)};
          sockets.emplace(
              pair,
              Diagnosed{.family = found.idiag_family, .id = found.id, .user = found.idiag_uid});
        });
    if (error != 0) return failed(kCannotRead, error);
  }
  return sockets;
}

// The ends that a socket of this host's may have of it: of one that it has opened, of one that has
// come to it, and over the loopback of both.
std::array<Pair, 2> pairs_of(const OpenConnection& connection) {
  const auto& [from, to, by, back] =
      std::tie(connection.from, connection.to, connection.answered_by, connection.answered_to);
  return {Pair{from.address, from.port, to.address, to.port},
          Pair{by.address, by.port, back.address, back.port}};
}

// The cookie in `id` has the kernel refuse another socket that has come to the same place.
int destroy(mnl_socket* socket, const Diagnosed& which) {
  std::array<char, 256> buffer{};
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = SOCK_DESTROY;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* query =
      static_cast<inet_diag_req_v2*>(mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
  query->sdiag_family = which.family;
  query->sdiag_protocol = IPPROTO_TCP;
  query->idiag_states = ~0U;
  query->id = which.id;
  return exchange(socket, {reinterpret_cast<const std::uint8_t*>(request), request->nlmsg_len},
                  [](const nlmsghdr&) {});
}

Result<void> end_sockets(std::span<const Diagnosed> sockets, Ended& ended) {
  if (sockets.empty()) return {};
  const SocketPtr socket = open_socket(NETLINK_SOCK_DIAG);
  if (!socket) return failed(kCannotEnd, errno);
  for (const Diagnosed& each : sockets) {
    const int error = destroy(socket.get(), each);
    if (error == EOPNOTSUPP) {
      ended.cannot_end_sockets = true;
      return {};
    }
    // It may have ended by itself.
    if (error != 0 && error != ENOENT && error != ESTALE) return failed(kCannotEnd, error);
    if (error == 0) ++ended.sockets;
  }
  return {};
}

Result<void> end_entries(std::span<const OpenConnection> connections, Ended& ended) {
  if (connections.empty()) return {};
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed(kCannotEnd, errno);
  for (const OpenConnection& each : connections) {
    std::vector<std::uint8_t> bytes;
    Writer writer(bytes);
    const std::size_t begin = writer.begin_message(
        nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE), NLM_F_ACK, each.family);
    writer.put(CTA_TUPLE_ORIG | NLA_F_NESTED, each.original);
    if (!each.zone.empty()) writer.put(CTA_ZONE, each.zone);
    // Another that has come to the same place stays: ctnetlink_del_conntrack() compares.
    if (each.id != 0) writer.be32(CTA_ID, each.id);
    writer.end_message(begin);
    const int error = exchange(socket.get(), bytes, [](const nlmsghdr&) {});
    if (error != 0 && error != ENOENT) return failed(kCannotEnd, error);
    if (error != 0) continue;
    ++ended.entries;
    if (!each.is_over) ++ended.open;
  }
  return {};
}

}  // namespace

Result<std::vector<OpenConnection>> read_open_connections() {
  std::vector<OpenConnection> connections;
  TRY(dump_entries([&](View entry, std::uint8_t family) {
    if (auto found = connection_in(entry, family)) connections.push_back(std::move(*found));
  }));
  if (connections.empty()) return connections;
  const Result<Sockets> sockets = connected_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  for (OpenConnection& each : connections) {
    if (each.protocol != IPPROTO_TCP) continue;
    const auto opened = sockets->find(pairs_of(each).front());
    if (opened != sockets->end()) each.owner = opened->second.user;
  }
  return connections;
}

Result<Ended> end_connections(std::span<const OpenConnection> connections) {
  Ended ended;
  const bool any_tcp = std::ranges::any_of(
      connections, [](const auto& each) { return each.protocol == IPPROTO_TCP; });
  if (any_tcp) {
    const Result<Sockets> sockets = connected_sockets();
    if (!sockets) return std::unexpected(sockets.error());
    std::vector<Diagnosed> meant;
    for (const OpenConnection& each : connections) {
      if (each.protocol != IPPROTO_TCP) continue;
      auto pairs = pairs_of(each);
      const std::size_t count = pairs[0] == pairs[1] ? 1 : 2;
      for (const Pair& pair : std::span(pairs).first(count)) {
        const auto [first, last] = sockets->equal_range(pair);
        for (auto at = first; at != last; ++at) meant.push_back(at->second);
      }
    }
    TRY(end_sockets(meant, ended));
  }
  TRY(end_entries(connections, ended));
  return ended;
}

Result<Ended> end_connections_with(const std::function<bool(const net::Address&)>& is_one) {
  Ended ended;
  // Before the sockets are ended, whose resets close the connections.
  Result<std::vector<OpenConnection>> open = read_open_connections();
  if (!open) return std::unexpected(std::move(open).error());
  const Result<Sockets> sockets = connected_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  std::vector<Diagnosed> meant;
  for (const auto& [pair, socket] : *sockets) {
    if (is_one(std::get<2>(pair))) meant.push_back(socket);
  }
  TRY(end_sockets(meant, ended));
  std::erase_if(*open, [&](const OpenConnection& each) {
    return !is_one(each.from.address) && !is_one(each.answered_by.address);
  });
  TRY(end_entries(*open, ended));
  return ended;
}

}  // namespace rolewall::netlink
