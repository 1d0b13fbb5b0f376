// Which side opened a TCP connection: a socket does not say it.
#pragma once

#include <cstdint>

#include "netlink/sockets.h"

namespace rolewall::observe {

enum class Opener : std::uint8_t {
  Peer,
  Here,
  Unknown,  // nothing tells: whoever goes by it asks about both
};

// By who listens at its port, else by connection tracking, else by the ports: whoever comes from
// one that the kernel draws, to one that it does not, has opened it. Who accepted it need not
// listen any more.
Opener opener_of(const netlink::TcpSocket& socket, const netlink::TcpSockets& sockets);

// net.ipv4.ip_local_port_range begins there, of both families.
unsigned first_drawn_port();

}  // namespace rolewall::observe
