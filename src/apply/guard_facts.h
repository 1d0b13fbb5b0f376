// What the guard (guard.h) must know of the machine and of whoever administers it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/address.h"
#include "netlink/machine.h"
#include "netlink/sockets.h"
#include "observe/relays.h"
#include "observe/routing.h"
#include "observe/tunnels.h"
#include "ruleset/host.h"

namespace rolewall::apply {

using netlink::Endpoint;

// An open TCP session that must go on.
struct Session {
  net::Address client;
  std::uint16_t client_port = 0;
  net::Address server;  // as its socket has it
  std::uint16_t server_port = 0;
  // What its packets bear as they arrive, where another program's rules, or ours, translate that
  // to `client` and `server`.
  std::optional<Endpoint> sent_from{};
  std::optional<Endpoint> sent_to{};
  std::string device{};  // of a link's own addresses: on which link
  bool tracked = true;   // it has a conntrack entry, or will have when the ruleset comes into force
};

// The site's hosts by name, with all addresses, also those that they share. For bans, which read no
// policy.
using SiteHosts = std::map<std::string, std::vector<net::Prefix>>;

struct GuardFacts {
  ruleset::Host machine;          // as it runs: devices, addresses, routes, conntrack settings
  std::vector<Session> sessions;  // the administrator's
  std::vector<net::Address> other_clients;  // of ssh sessions that are open beside it
  // Where ssh can be reached; an unspecified address: at each of this host's.
  std::vector<Endpoint> ssh_doors;
  bool ssh_within = false;  // at the loopback alone
  // From where ssh must be possible: from the ends of each, from each host that the site names
  // within, and from all that lies between (lifelines.cc).
  std::vector<net::Prefix> management;
  std::vector<net::Address> named;
  SiteHosts site;
  std::vector<ruleset::Route> possible_routes;  // beside the machine's, where these are not known
  std::vector<netlink::Lease> leases;           // addresses that are lost unless they are renewed
  std::set<net::Address> lease_servers{};       // by whom, as far as that is known
  std::vector<std::string> advertised;          // devices with routes that a router advertises
  std::vector<std::string> queried;  // on whose links somebody asks for groups' listeners (MLD)
  std::vector<std::string> strict;   // devices that drop what a route back does not lead by
  // Devices whose packets another receives; bridges; and those that lead to this machine's own
  // containers and virtual machines.
  std::vector<std::string> ports;
  std::vector<std::string> bridges;  // what goes between their ports passes the forward chain
  std::vector<std::string> guests;
  std::vector<netlink::OwnEnd> own_ends;
  std::vector<net::Prefix> learned;      // networks to which a routing protocol knows the way
  observe::Routing routing;              // with whom it is spoken
  std::vector<observe::Tunnel> tunnels;  // what sessions may go through
  std::vector<observe::Relay> relays;    // what carries sessions that come from this machine itself
  bool sees_processes = true;  // else whose sessions are open, and what carries them, is not known
  bool may_be_undone = false;  // a rollback is armed: what cannot be known is risked
  std::vector<std::string> remarks;  // about whom was found, for people
};

// Devices and addresses in words: what the guard's answer hangs on, beside rulesets.
std::string in_words(const ruleset::Host& machine);

}  // namespace rolewall::apply
