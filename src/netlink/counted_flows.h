// What connection tracking counts of each connection, through ctnetlink: packets and bytes of
// either direction, where net.netfilter.nf_conntrack_acct is on; and those that end meanwhile, each
// with its last counts (nf_conntrack_netlink.c: ctnetlink_dump_acct, ctnetlink_conntrack_event).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "base/error.h"
#include "netlink/event_socket.h"
#include "netlink/sockets.h"

namespace rolewall::netlink {

struct FlowCount {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

struct CountedFlow {
  std::uint64_t id = 0;  // another one for each connection that is tracked at a time
  std::uint8_t protocol = 0;
  Endpoint from;  // of its first packet, as it arrived; ports are 0 where there are none
  Endpoint to;
  std::optional<std::uint8_t> icmp_type{};
  net::Address answered_by;               // another than `to` where that was translated
  bool is_over = false;                   // of TCP: both sides have closed it, or one has reset it
  bool is_translated = false;             // its destination: to another address or port
  std::optional<std::uint32_t> left_s{};  // until it is forgotten, if nothing comes
  // Of its own direction and of the answers; absent where nothing is counted.
  std::optional<FlowCount> there;
  std::optional<FlowCount> back;
};

Result<void> read_counted_flows(const std::function<void(const CountedFlow&)>& visit);

// Tells of connections that end. The kernel tells of none that was there before anybody listened
// (nf_conntrack_ecache.c: nf_ct_ecache_ext_add), unless nf_conntrack_events is 1.
class EndedFlows {
 public:
  static Result<EndedFlows> listen();

  // Those that have ended since. An error of kind Conflict: some were missed.
  Result<void> read(const std::function<void(const CountedFlow&)>& visit);

 private:
  explicit EndedFlows(EventSocket socket) : socket_(std::move(socket)) {}

  EventSocket socket_;
};

}  // namespace rolewall::netlink
