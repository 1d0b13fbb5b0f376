#include "netlink/new_connection.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

constexpr std::uint32_t kSeconds = 600;

void put_open_tcp(Writer& to) {
  const std::size_t info = to.begin_nest(CTA_PROTOINFO);
  const std::size_t tcp = to.begin_nest(CTA_PROTOINFO_TCP);
  to.u8(CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
  const nf_ct_tcp_flags liberal{.flags = IP_CT_TCP_FLAG_BE_LIBERAL,
                                .mask = IP_CT_TCP_FLAG_BE_LIBERAL};
  const View flags(reinterpret_cast<const std::uint8_t*>(&liberal), sizeof liberal);
  to.put(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, flags);
  to.put(CTA_PROTOINFO_TCP_FLAGS_REPLY, flags);
  to.end_nest(tcp);
  to.end_nest(info);
}

}  // namespace

Result<void> enter_connection(const NewConnection& connection) {
  constexpr const char* kCannotEnter = "cannot enter a connection";
  const SocketPtr socket = open_socket(NETLINK_NETFILTER);
  if (!socket) return failed(kCannotEnter, errno);
  std::vector<std::uint8_t> request;
  Writer entry(request);
  const bool v4 = net::is_ipv4(connection.original.from.address);
  const std::size_t message =
      entry.begin_message(nfnetlink_type(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW),
                          NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, v4 ? AF_INET : AF_INET6);
  put_tuple(entry, CTA_TUPLE_ORIG, connection.original);
  put_tuple(entry, CTA_TUPLE_REPLY, connection.reply);
  entry.be32(CTA_TIMEOUT, kSeconds);
  entry.be32(CTA_STATUS,
             connection.answered ? IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED : IPS_CONFIRMED);
  if (connection.original.protocol == IPPROTO_TCP) put_open_tcp(entry);
  if (connection.expected_by) put_tuple(entry, CTA_TUPLE_MASTER, *connection.expected_by);
  entry.end_message(message);
  const int error = exchange(socket.get(), request, [](const nlmsghdr&) {});
  if (error != 0) return failed(kCannotEnter, error);
  return {};
}

}  // namespace rolewall::netlink
