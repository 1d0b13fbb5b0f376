#include "netlink/counted_flows.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include "netlink/conntrack_entry.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {
namespace {

// A million entries end within a second when a table is flushed.
constexpr EventSocket::Room kRoomForEnds{.datagram = 8192, .at_once = 64, .waiting = 16 << 20};

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

// std::nullopt for what has no addresses of IP.
std::optional<CountedFlow> counted_flow(View entry) {
  const auto original = tuple_in(entry, CTA_TUPLE_ORIG);
  const auto reply = tuple_in(entry, CTA_TUPLE_REPLY);
  if (!original || !reply) return std::nullopt;
  CountedFlow flow{.id = 0,
                   .protocol = original->protocol,
                   .from = original->from,
                   .to = original->to,
                   .icmp_type = original->icmp_type,
                   .answered_by = reply->from.address,
                   .is_over = is_over(entry),
                   .is_translated = reply->from != original->to,
                   .there = count_in(find_attribute(entry, CTA_COUNTERS_ORIG)),
                   .back = count_in(find_attribute(entry, CTA_COUNTERS_REPLY))};
  const View left = find_attribute(entry, CTA_TIMEOUT);
  if (left.size() == 4) flow.left_s = static_cast<std::uint32_t>(big_endian(left));
  // The kernel's own is a hash of 32 bits (nf_ct_get_id): two of a million have the same.
  flow.id = big_endian(find_attribute(entry, CTA_ID)) << 32 | std::uint64_t{flow.from.port} << 16 |
            flow.to.port;
  return flow;
}

}  // namespace

Result<void> read_counted_flows(const std::function<void(const CountedFlow&)>& visit) {
  return dump_entries([&](View entry, std::uint8_t) {
    if (const auto flow = counted_flow(entry)) visit(*flow);
  });
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
