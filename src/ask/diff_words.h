// A set of packets of one host in the policy's own words: `tcp/8080 internet > web-01`.
//
// Words are about natural packets: a connection's first, from an address that a machine can have,
// by the device that it is behind. Where the natural packets of the words are those of the set, the
// words say it whole; else they are an outline of it, and `whole` is false.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "analyze/difference.h"
#include "policy/policy.h"
#include "ruleset/host.h"

namespace rolewall::ask {

enum class PacketWay : std::uint8_t { Arrives, Passes, Sent };

struct SetWords {
  std::string service;  // "tcp/8080, https"
  std::string from;
  std::string to;
  std::string options;  // "in=public state=established"; "": none
  bool whole = true;
  // A natural packet is among these.
  analyze::Diagram natural = analyze::kNothing;
  net::AddressSet from_set;  // of those
  net::AddressSet to_set;
};

// The names of one policy, as addresses: what each stands for is looked up once.
class PolicyNames {
 public:
  explicit PolicyNames(const policy::Policy& policy);

  // `odd`: addresses that may be in the set or not, as the names need it. `ipv4`, `ipv6`: which
  // families there are.
  struct Name {
    std::string words;
    bool whole = true;        // else they say more than the set has
    bool is_of_both = false;  // families, so that it must be said if there is one alone
  };
  Name of(const net::AddressSet& set, const net::AddressSet& odd, bool ipv4, bool ipv6) const;
  // A name for all of them together, else their own.
  std::string of_hosts(const std::vector<std::string>& hosts) const;
  const policy::Policy& policy() const { return policy_; }

 private:
  const policy::Policy& policy_;
  std::vector<std::pair<std::string, net::AddressSet>> names_;  // the first are the best
};

class SetTeller {
 public:
  SetTeller(const PolicyNames& names, const ruleset::Host& host, analyze::Difference& difference);

  // REQUIRES: the set is not empty. May end a budget, as all that is done with diagrams.
  SetWords tell(PacketWay way, analyze::Diagram set);
  // Those of `set` with an address that a reader expects, where there are such.
  analyze::Diagram likely(const SetWords& words, analyze::Diagram set);

 private:
  analyze::Diagram project(analyze::Diagram set, const std::vector<analyze::FieldId>& kept);
  analyze::Diagram in(analyze::Part ipv4, analyze::Part ipv6, const net::AddressSet& set);
  analyze::Diagram device(analyze::Part part, const std::string& name);
  analyze::Diagram natural(PacketWay way, analyze::Diagram set);
  analyze::Diagram by_devices(PacketWay way);
  net::AddressSet addresses(analyze::Diagram set, bool source);
  std::string services(analyze::Diagram set, bool& whole);
  std::string devices(PacketWay way, analyze::Diagram set, analyze::Diagram expected,
                      analyze::Diagram& box);
  std::string states(analyze::Diagram set);

  const PolicyNames& names_;
  const ruleset::Host& host_;
  analyze::Difference& difference_;
  analyze::Diagrams& d_;
  analyze::PacketSpace& space_;
  net::AddressSet own_;
  net::AddressSet odd_;  // what nobody sends from
};

}  // namespace rolewall::ask
