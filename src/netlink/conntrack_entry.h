// An entry of connection tracking as ctnetlink has it: what its attributes say, and a dump of all.
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/error.h"
#include "netlink/attributes.h"
#include "netlink/sockets.h"

namespace rolewall::netlink {

// CTA_TUPLE_ORIG or CTA_TUPLE_REPLY. Ports are 0 where the protocol has none.
struct ConntrackTuple {
  std::uint8_t protocol = 0;
  Endpoint from;
  Endpoint to;
  std::optional<std::uint8_t> icmp_type{};
};
// std::nullopt for what has no addresses of IP.
std::optional<ConntrackTuple> tuple_in(View entry, std::uint16_t direction);
// ICMP's identifier is written of `from.port`, its type and code of the two bytes of `to.port`.
void put_tuple(Writer& message, std::uint16_t attribute, const ConntrackTuple& tuple);

// TCP's: in TIME_WAIT, or closed.
bool is_over(View entry);
// TCP's, and its first packet was no SYN: connection tracking has met it midway, and took whoever
// sent next for the one who opened it (tcp_new() of nf_conntrack_proto_tcp.c marks it so).
bool is_met_midway(View entry);
// IPS_*.
std::uint32_t status_in(View entry);

// Of this network namespace. `family`: of nfgenmsg.
Result<void> dump_entries(const std::function<void(View entry, std::uint8_t family)>& visit);

}  // namespace rolewall::netlink
