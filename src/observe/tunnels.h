// What carries the packets of this machine's tunnels over the network below.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/ipsec.h"

namespace rolewall::observe {

struct OuterFlow {
  std::uint8_t protocol = 0;
  net::Address local;  // unspecified: what the route says
  net::Address remote;
  std::uint16_t local_port = 0;
  std::uint16_t remote_port = 0;
  // Who has sent the first packet. Both: either side may, or it is not known which did.
  bool opened_by_peer = false;
  bool opened_here = true;
  bool anybody = false;  // `remote` stands for all: nobody's packets are known
  // Either side sends from a port that it draws, so that no packet answers another (RFC 7348, 5).
  bool draws_ports = false;
  std::string device{};  // of a group, by which it is reached; "" where nobody says
  bool operator==(const OuterFlow&) const = default;
};

struct Tunnel {
  // Empty where networks go through it whatever the device is: IPsec by policies.
  std::vector<std::string> devices;     // its own first, then those whose packets go through it
  std::string kind;                     // "tun", "vxlan", "wireguard"
  std::vector<OuterFlow> flows;         // empty: they cannot be found
  std::vector<net::Prefix> networks{};  // beyond it, of IPsec by policies
  // To programs of this host that speak to its end over the loopback: one of them carries it.
  std::vector<OuterFlow> relayed{};
};

// "tun0"; "to 192.0.2.7" where it has no device.
std::string name_of(const Tunnel& tunnel);

// Of this network namespace. The flows of a tun device are the sockets of the program that holds
// it, which only root is told.
Result<std::vector<Tunnel>> tunnels();

// One for each other end of IPsec; and what a device of IPsec's carries may be any of them.
void add_ipsec(std::vector<Tunnel>& found, const netlink::Ipsec& ipsec);

// The packets of these sockets, but for those of the loopback alone.
std::vector<OuterFlow> flows_of(const std::set<std::uint64_t>& sockets);

}  // namespace rolewall::observe
