// The kernel's IPsec (ip-xfrm(8)): which networks go through which tunnel, and what its packets
// look like on the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {

// A security association, which is one direction.
struct IpsecAssociation {
  net::Address from;
  net::Address to;
  std::uint8_t protocol = 0;    // ESP, AH; UDP where ESP is put into it (RFC 3948)
  std::uint16_t from_port = 0;  // of UDP
  std::uint16_t to_port = 0;
  bool operator==(const IpsecAssociation&) const = default;
};

// What leaves this host for a network, and between which ends it is put.
struct IpsecPolicy {
  net::Prefix network;
  net::Address local;
  net::Address remote;
  bool operator==(const IpsecPolicy&) const = default;
};

// A policy by which packets may be blocked, or must be wrapped: those between these ends, whatever
// else it asks for (ports, marks). One that lets all pass as it is, is none.
struct IpsecSelector {
  std::string direction;  // "in", "out", "fwd", as ip-xfrm(8) has them
  net::Prefix from;
  net::Prefix to;
  bool operator==(const IpsecSelector&) const = default;
};

struct Ipsec {
  std::vector<IpsecAssociation> associations;
  std::vector<IpsecPolicy> policies;
  std::vector<IpsecSelector> selectors;
};

// Of this network namespace; nothing on a kernel without it.
Result<Ipsec> read_ipsec();

// Adds what one of the kernel's answers says.
void add_ipsec(const nlmsghdr& message, Ipsec& to);

}  // namespace rolewall::netlink
