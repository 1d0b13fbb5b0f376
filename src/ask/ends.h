// What one end of a packet's words stands for: "lb", "internet", "198.51.100.0/24", "web,!web-01"
// as the addresses to try and the hosts that bear them (docs/policy-language.md, "Tests").
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/policy.h"

namespace rolewall::ask {

// One thing that an end stands for: an address (and the host that bears it, if one does), or a host
// named as such, with the addresses that it may speak from, in order of preference.
struct Party {
  std::optional<policy::Index> host;
  std::vector<net::Address> addresses;
  bool sampled = false;  // as one of a prefix's many addresses: nobody named the host
  // Whether both are the same, by whatever words.
  bool operator==(const Party& other) const {
    return host == other.host && addresses == other.addresses;
  }
};

class Ends {
 public:
  // Of a network with more prefixes than this, as many are sampled, evenly spaced.
  static constexpr std::size_t kMaxPrefixesOfNetwork = 1'000;

  // Holds a reference: the policy must outlive it.
  explicit Ends(const policy::Policy& policy);

  // Without repetition, in the order of the words. `self` is what `self` stands for; without it,
  // `self` stands for nothing.
  std::vector<Party> parties(const policy::Selectors& selectors,
                             std::optional<policy::Index> self) const;

  // The addresses of one family by which two parties meet: a host stands for its address in the
  // narrowest range of a network that holds the other end too, else for its first. std::nullopt
  // where one has none.
  std::optional<std::pair<net::Address, net::Address>> meet(const Party& from, const Party& to,
                                                            bool ipv4) const;

  // The hosts that bear an address, as their own or as a virtual one, in the site's order.
  std::vector<policy::Index> bearers(const net::Address& address) const;

 private:
  struct Pool {
    net::Prefix prefix;
    policy::Index host = 0;
  };

  void add(const policy::Term& term, std::optional<policy::Index> self,
           std::vector<Party>& parties) const;
  void add_host(policy::Index host, std::vector<Party>& parties) const;
  void add_address(const net::Address& address, std::vector<Party>& parties) const;
  void add_prefix(const net::Prefix& prefix, std::vector<Party>& parties) const;
  void add_network(const policy::Network& network, std::vector<Party>& parties) const;
  void add_internet(std::vector<Party>& parties) const;
  net::Uint128 distance(const net::Address& a, const net::Address& b) const;

  const policy::Policy& policy_;
  std::unordered_map<std::string, std::vector<policy::Index>> bearers_;  // by the address's bytes
  std::vector<Pool> pools_;
};

// The first and last address that a machine can have in a prefix: in IPv4 not the network's own nor
// the broadcast address, in IPv6 not the subnet's anycast address, and of all of IPv6 those of
// global unicast; a prefix of one or two addresses has them all.
std::pair<net::Address, net::Address> host_addresses(const net::Prefix& prefix);

}  // namespace rolewall::ask
