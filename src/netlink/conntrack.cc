#include "netlink/conntrack.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "netlink/conntrack_entry.h"
#include "netlink/exchange.h"
#include "netlink/machine.h"

namespace rolewall::netlink {
namespace {

constexpr std::uint16_t type_of(int message) {
  return nfnetlink_type(NFNL_SUBSYS_CTNETLINK, message);
}

}  // namespace

// What arrives is from `from`, to `to`: by the first tuple where the peer began, by the second
// where this host did. Both ends may have the same port: then their addresses tell.
Result<std::vector<UdpPeer>> read_udp_peers(std::uint16_t port) {
  const auto own = own_addresses();
  if (!own) return std::unexpected(own.error());
  const auto is_own = [&](const net::Address& address) {
    return net::is_loopback(address) || own->contains(address);
  };
  std::vector<UdpPeer> peers;
  TRY(dump_entries([&](View entry, std::uint8_t) {
    const auto original = tuple_in(entry, CTA_TUPLE_ORIG);
    const auto reply = tuple_in(entry, CTA_TUPLE_REPLY);
    if (!original || !reply || original->protocol != IPPROTO_UDP) return;
    const bool from_here = is_own(original->from.address);
    const bool to_here = is_own(reply->from.address);
    const bool answered = (status_in(entry) & IPS_SEEN_REPLY) != 0;
    const auto put = [&](const ConntrackTuple& arrives, bool began) {
      if (arrives.to.port != port) return;
      peers.push_back({.local = arrives.to,
                       .peer = arrives.from,
                       .began = began,
                       .answered = answered,
                       .is_here = from_here && to_here});
    };
    if (!from_here || to_here) put(*original, true);
    if (from_here) put(*reply, false);
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
                     .answered_by = reply->from,
                     .answered = (status_in(entry) & IPS_SEEN_REPLY) != 0});
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
