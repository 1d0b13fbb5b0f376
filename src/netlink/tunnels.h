// The kernel's own tunnels: what each device of that kind puts its packets into.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {

struct TunnelPeer {
  std::optional<net::Address> local;  // absent: by the route
  net::Address remote;
  std::uint16_t port = 0;  // the peer's; 0: the protocol has none
};

struct TunnelLink {
  std::string device;
  std::string kind;           // rtnetlink's: "vxlan", "gre", "wireguard"
  std::uint8_t protocol = 0;  // of the outer packets; 0: not known
  std::uint16_t port = 0;     // ours; 0: the protocol has none
  std::vector<TunnelPeer> peers;
  bool is_told = false;  // to whom, each packet says (`external`): by its route, or a program does
  std::string below;     // the device that its packets leave by; "": by the route
  std::vector<std::string> carries;  // others whose packets go through it: bridges, VLANs
};

// Those of this network namespace. Of tun devices, whose packets a program carries, and of kinds
// that are not known here there is the device and its kind alone.
Result<std::vector<TunnelLink>> read_tunnels();

// What one answer says: of a link, nothing where it is no tunnel; of WireGuard's own family its
// port and its peers.
std::optional<TunnelLink> tunnel_of(const nlmsghdr& link);
void add_wireguard(const nlmsghdr& device, TunnelLink& to);

}  // namespace rolewall::netlink
