#include "netlink/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "netlink/conntrack_entry.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

constexpr std::uint16_t type_of(int message) {
  return nfnetlink_type(NFNL_SUBSYS_CTNETLINK, message);
}

}  // namespace

Result<std::vector<Endpoint>> read_udp_peers(std::uint16_t port) {
  std::vector<Endpoint> peers;
  TRY(dump_entries([&](View entry, std::uint8_t) {
    for (const std::uint16_t direction : {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY}) {
      const auto tuple = tuple_in(entry, direction);
      if (!tuple || tuple->protocol != IPPROTO_UDP || tuple->to.port != port) continue;
      peers.push_back(tuple->from);
    }
  }));
  return peers;
}

Result<std::vector<TrackedFlow>> read_flows_with(
    const std::function<bool(const net::Address&)>& is_one) {
  std::vector<TrackedFlow> flows;
  TRY(dump_entries([&](View entry, std::uint8_t) {
    const auto original = tuple_in(entry, CTA_TUPLE_ORIG);
    const auto reply = tuple_in(entry, CTA_TUPLE_REPLY);
    if (!original || !reply) return;
    if (!is_one(original->from.address) && !is_one(reply->from.address)) return;
    flows.push_back({.protocol = original->protocol,
                     .from = original->from,
                     .to = original->to,
                     .answered_by = reply->from});
  }));
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
