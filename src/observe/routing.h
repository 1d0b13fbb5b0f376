// Which routing protocols, BFD among them, and which VRRP, programs of this host speak: what keeps
// routes to it, and addresses that it shares with others.
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

// With one neighbour. BFD's packets go each way from a port that is drawn, and none answers another
// (RFC 5881, 4).
struct Peering {
  std::string name;  // "BGP", "BFD"
  OuterFlow flow;
  bool is_of_address = false;  // as above
};

// One of those that it is spoken with, since connection tracking has seen that.
struct Neighbour {
  std::string name;
  net::Address address;
  bool operator==(const Neighbour&) const = default;
};

struct Routing {
  std::vector<SpokenOnLink> on_links;
  std::vector<Peering> peerings;
  std::vector<Neighbour> neighbours{};  // of what is spoken on links
  std::vector<std::string> unseen;      // spoken by some program, but not seen with whom
};

// Of this network namespace, whose addresses the host has.
Routing routing(const ruleset::Host& host);

std::vector<SpokenOnLink> spoken_on_links(const std::vector<ruleset::JoinedGroup>& groups);

}  // namespace rolewall::observe
