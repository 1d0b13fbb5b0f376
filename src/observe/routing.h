// Which routing protocols, and which VRRP, programs of this host speak: what keeps routes to it,
// and addresses that it shares with others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/address.h"
#include "observe/tunnels.h"
#include "ruleset/host.h"

namespace rolewall::observe {

// Spoken to a group of the link's, by every device on which a program has joined it.
struct SpokenOnLink {
  std::string name;           // "OSPF"
  std::uint8_t protocol = 0;  // of IP
  std::uint16_t port = 0;     // UDP's; 0: the protocol has none
  std::string device;
  net::Address group;
  bool is_of_address = false;  // VRRP: whose an address is; else where networks are
};

struct Routing {
  std::vector<SpokenOnLink> on_links;
  std::vector<OuterFlow> peerings;  // BGP's, over TCP
  std::vector<std::string> unseen;  // spoken by some program, but not seen with whom
};

// Of this network namespace.
Routing routing();

std::vector<SpokenOnLink> spoken_on_links(const std::vector<ruleset::JoinedGroup>& groups);

}  // namespace rolewall::observe
