// What rtnetlink says of the machine that we run on: the links, addresses and routes of the calling
// thread's network namespace.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::netlink {

// An address that is lent for a time, and lost unless it is renewed.
struct Lease {
  net::Prefix address;  // with the length of its network
  std::string device;
};

// A veth of which the other end is a port of a bridge, both of this network namespace.
struct OwnEnd {
  std::string device;
  std::string bridge;
};

struct Machine {
  std::vector<ruleset::Interface> interfaces;  // without the loopback; named as their devices
  std::vector<net::Prefix> addresses;          // without the loopback's; whole addresses
  std::vector<Lease> leases;
  std::vector<std::string> advertised;  // devices with routes that a router advertises
  std::vector<net::Prefix> learned;     // networks to which a routing protocol knows the way
  std::vector<std::string> ports;       // devices whose packets a bridge or a bond receives
  std::vector<std::string> bridges;     // that join several ports
  std::vector<OwnEnd> own_ends;
  // Devices that lead to this machine's own containers and virtual machines, as far as that can be
  // told: no default route leads by them.
  std::vector<std::string> guests;
  std::vector<std::string> inward;  // these, and links to other network namespaces
  // Absent where a lookup is more than the longest prefix of the tables local, main and default:
  // rules of `ip rule` beside the kernel's own, routes by several ways or by type of service.
  std::optional<std::vector<ruleset::Route>> routes;
  // The same, with routes by several next hops: each of these apart.
  std::optional<std::vector<ruleset::Route>> routes_by_hop;
  std::vector<ruleset::Route> routes_for_some;  // beside these: Host::routes_for_some
  std::vector<ruleset::Route> local_routes;     // where these are absent: Host::local_routes
  bool has_routing_rules = false;               // beside the kernel's own
  bool has_added_local_routes = false;          // of IPv4 and type local, by a program
  // Of every table, each next hop apart, whatever a rule or a type of service must be for it: where
  // `routes` is absent a packet goes by one of these.
  std::vector<ruleset::Route> possible_routes;
};

Result<Machine> read_machine();

// The loopback's among them.
Result<std::set<net::Address>> own_addresses();

}  // namespace rolewall::netlink
