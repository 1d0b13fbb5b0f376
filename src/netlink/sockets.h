// Sockets of this network namespace, and the conntrack entries of TCP sessions.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::netlink {

struct TcpSocket {
  net::Address local;
  std::uint16_t local_port = 0;
  net::Address remote;  // unspecified, port 0: it listens
  std::uint16_t remote_port = 0;
  std::uint64_t inode = 0;   // as /proc/PID/fd shows it; 0: no process holds it
  std::uint32_t device = 0;  // the index of the one that it is bound to, as a link's own address is
  std::uint32_t user = 0;    // who has made or accepted it
};

// By sock_diag(7). IPv4 addresses mapped into IPv6 are given as IPv4.
struct TcpSockets {
  std::vector<TcpSocket> listening;
  std::vector<TcpSocket> established;
};
Result<TcpSockets> read_tcp_sockets();

// What takes the first packet of whoever knows the port: a TCP socket that listens, a UDP socket
// that is bound and not connected.
struct Listener {
  std::uint8_t protocol = 0;  // IPPROTO_TCP, IPPROTO_UDP
  net::Address address;       // unspecified: every one of the host's
  std::uint16_t port = 0;
  bool both_families = false;  // an IPv6 socket that takes IPv4 as well; `address` is "::"
  std::uint64_t inode = 0;
};
Result<std::vector<Listener>> read_listeners();

// UDP sockets with a port, those with a peer among them: `remote_port` 0 where there is none.
struct UdpSocket {
  net::Address local;  // unspecified: every one of the host's
  std::uint16_t local_port = 0;
  net::Address remote;
  std::uint16_t remote_port = 0;
  std::uint64_t inode = 0;
};
Result<std::vector<UdpSocket>> read_udp_sockets();

// Whether a TCP or UDP socket is transparent (IP_TRANSPARENT), as those of a proxy are; absent
// where the kernel does not tell.
Result<std::optional<bool>> has_transparent_sockets();

// What a session's packets bear as they arrive, before connection tracking translates them to what
// its socket has; absent where there is no entry of it.
struct Endpoint {
  net::Address address;
  std::uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};
struct Flow {
  Endpoint from;
  Endpoint to;
  bool opener_is_known = false;  // its first packet was seen: `from` has sent it
};
Result<std::optional<Flow>> read_original_flow(const TcpSocket& session);

// Gives a session that is already open its conntrack entry, as though it had been seen from its
// start: `client` opened it. Success where there is one. `protocol`: TCP, or UDP between these
// ports.
Result<void> ensure_conntrack_entry(const TcpSocket& session, bool opened_by_remote,
                                    std::uint8_t protocol);

}  // namespace rolewall::netlink
