// Who would be shut out: the new ruleset, together with every other table of the host, is asked by
// the evaluator before it is put in force.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/partial_sets.h"
#include "net/address.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::apply {

// An open TCP session that must go on.
struct Session {
  net::Address client;
  std::uint16_t client_port = 0;
  net::Address server;
  std::uint16_t server_port = 0;
  bool tracked = true;  // it has a conntrack entry, or will have when the ruleset comes into force
};

struct GuardFacts {
  ruleset::Host machine;          // as it runs: devices, addresses, routes, conntrack settings
  std::vector<Session> sessions;  // the administrator's
  std::vector<std::uint16_t> ssh_ports;  // on which somebody listens
  // From where ssh must be possible; each is tried from its first and its last address.
  std::vector<net::Prefix> management;
  bool leases_ipv4 = false;  // it has an address by DHCP
};

struct Loss {
  std::string what;  // "ssh from 192.0.2.7 (management) to 10.0.2.10:22"
  std::string how;   // "input drops it: rule (default) of table inet rolewall, chain input"
  std::string rule;  // the policy rule's id, to find its line; "" where it is none's
};

// What of this the ruleset would not let pass. Where an answer depends on what is not known, the
// worst counts. It stands once nothing more is asked of the partial sets.
std::vector<Loss> losses(const ruleset::Ruleset& after, const GuardFacts& facts,
                         eval::PartialSets& partial);

}  // namespace rolewall::apply
