// What carries the packets of this machine's tunnels over the network below.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::observe {

struct OuterFlow {
  std::uint8_t protocol = 0;
  net::Address local;  // unspecified: what the route says
  net::Address remote;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  bool opened_by_peer = false;  // or by either side; else by this host alone, as a client's is
  bool anybody = false;         // `remote` stands for all: nobody's packets are known
  // Either side sends from a port that it draws, so that no packet answers another (RFC 7348, 5).
  bool draws_ports = false;
};

struct Tunnel {
  std::vector<std::string> devices;  // its own first, then those whose packets go through it
  std::string kind;                  // "tun", "vxlan", "wireguard"
  std::vector<OuterFlow> flows;      // empty: they cannot be found
};

// Of this network namespace. The flows of a tun device are the sockets of the program that holds
// it, which only root is told.
Result<std::vector<Tunnel>> tunnels();

}  // namespace rolewall::observe
