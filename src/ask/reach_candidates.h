// Which services can come from one end to another at all, by the words of the rules at both: so
// that who reaches whom is not asked of each service with each pair. What is left out no rule
// accepts there; what is left in is asked of the rulesets (reach.h).
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "net/address_set.h"
#include "policy/effective.h"
#include "policy/policy.h"

namespace rolewall::ask {

class ReachCandidates {
 public:
  // Hosts of an end that are alike together, as Alike::groups() gives them; none where an end is
  // not looked into.
  using Groups = std::vector<std::vector<policy::Index>>;

  // `services`: of each its literals. Holds a reference to the policy.
  ReachCandidates(const policy::Policy& policy, policy::Date date,
                  std::vector<std::vector<policy::ServiceLiteral>> services)
      : policy_(policy), date_(date), services_(std::move(services)) {}

  struct End {
    const Groups& hosts;
    // Addresses that its packets may bear where the other end's rules see them.
    const net::AddressSet& addresses;
  };
  // By their numbers, in order.
  std::vector<std::size_t> between(const End& from, const End& to);

 private:
  using Bits = std::vector<std::uint64_t>;  // by service, 64 in each

  Bits all() const { return Bits(services_.size() / 64 + 1, ~std::uint64_t{0}); }
  Bits open(const End& here, policy::Direction way, const End& other);
  void add_open(policy::Index host, policy::Direction way, const net::AddressSet& others,
                Bits& open);
  const Bits& services_of(const policy::Rule& rule);
  const net::AddressSet& addresses_of(const policy::Selectors& selectors, policy::Index host);
  policy::HostPolicy& effective(policy::Index host);

  const policy::Policy& policy_;
  policy::Date date_;
  std::vector<std::vector<policy::ServiceLiteral>> services_;
  std::map<policy::Index, policy::HostPolicy> effective_;
  std::map<const policy::Rule*, Bits> of_rule_;
  std::map<std::pair<const policy::Selectors*, policy::Index>, net::AddressSet> addresses_;
};

}  // namespace rolewall::ask
