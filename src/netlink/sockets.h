// Sockets of this network namespace, and the conntrack entries of TCP sessions.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::netlink {

struct TcpSocket {
  net::Address local;
  std::uint16_t local_port = 0;
  net::Address remote;  // unspecified, port 0: it listens
  std::uint16_t remote_port = 0;
  std::uint64_t inode = 0;  // as /proc/PID/fd shows it; 0: no process holds it
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

// Gives a session that is already open its conntrack entry, as though it had been seen from its
// start: `client` opened it. Success where there is one.
Result<void> ensure_conntrack_entry(const TcpSocket& session, bool opened_by_remote);

}  // namespace rolewall::netlink
