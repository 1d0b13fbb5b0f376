// TCP sessions of this network namespace: the sockets that hold them, and their conntrack entries.
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
};

// By sock_diag(7). IPv4 addresses mapped into IPv6 are given as IPv4.
struct TcpSockets {
  std::vector<TcpSocket> listening;
  std::vector<TcpSocket> established;
};
Result<TcpSockets> read_tcp_sockets();

// Gives a session that is already open its conntrack entry, as though it had been seen from its
// start: `client` opened it. Success where there is one.
Result<void> ensure_conntrack_entry(const TcpSocket& session, bool opened_by_remote);

}  // namespace rolewall::netlink
