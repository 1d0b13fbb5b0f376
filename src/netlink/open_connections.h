// Connection tracking's entries one by one, and how what is open is ended: the TCP sockets of this
// host first, so that the other end is told by a reset while connection tracking still knows the
// connection and rules let the reset out as established; then the entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/conntrack_entry.h"
#include "netlink/sockets.h"

namespace rolewall::netlink {

// An entry. Ports are 0 where the protocol has none.
struct OpenConnection {
  std::uint8_t protocol = 0;
  Endpoint from;  // as its first packet arrives, or is sent by this host
  Endpoint to;
  Endpoint answered_by;  // another than `to` where that was translated
  Endpoint answered_to;  // another than `from` where that was translated
  std::uint8_t icmp_type = 0;
  std::uint8_t icmp_code = 0;
  bool is_expected = false;  // another connection has announced it (IPS_EXPECTED)
  std::optional<ConntrackTuple> announced_by{};  // which, as its first packet arrived
  bool is_answered = true;  // both sides have sent: what comes is established from then on
  bool is_over = false;     // TCP's, and both sides have closed it
  // Of TCP, since its first packet was seen. Else `from` is who was seen first, which may be the
  // one who answers.
  bool opener_is_known = true;
  // The user of the socket of this host that has opened it; of TCP alone.
  std::optional<std::uint32_t> owner{};
  std::uint32_t id = 0;  // the kernel's; 0: not said

  // What names it to the kernel: CTA_TUPLE_ORIG and CTA_ZONE as they came; no zone: empty.
  std::uint8_t family = 0;
  std::vector<std::uint8_t> original{};
  std::vector<std::uint8_t> zone{};
};

// Of this network namespace; of other families than IPv4 and IPv6 there are none.
Result<std::vector<OpenConnection>> read_open_connections();

struct Ended {
  std::size_t sockets = 0;
  std::size_t entries = 0;
  std::size_t open = 0;  // of these: both sides had not closed it
  // A socket is there, and the kernel cannot end it (built without CONFIG_INET_DIAG_DESTROY): its
  // program waits until its time is over.
  bool cannot_end_sockets = false;
};

// What has ended by itself meanwhile is not counted, nor is it an error.
Result<Ended> end_connections(std::span<const OpenConnection> connections);

// The same of whatever is open with an address for which `is_one` holds, of TCP also what
// connection tracking does not know.
Result<Ended> end_connections_with(const std::function<bool(const net::Address&)>& is_one);

}  // namespace rolewall::netlink
