// A set of addresses of both families: what a selector stands for.
#pragma once

#include <vector>

#include "net/address.h"
#include "net/interval_set.h"

namespace rolewall::net {

struct AddressSet {
  IntervalSet<Ipv4> ipv4;
  IntervalSet<Ipv6> ipv6;

  static AddressSet all() { return {IntervalSet<Ipv4>::all(), IntervalSet<Ipv6>::all()}; }
  static AddressSet from(const std::vector<Prefix>& prefixes);

  bool empty() const { return ipv4.empty() && ipv6.empty(); }
  bool is_all() const { return ipv4.is_all() && ipv6.is_all(); }
  bool contains(const Address& address) const;

  AddressSet operator|(const AddressSet& other) const {
    return {ipv4 | other.ipv4, ipv6 | other.ipv6};
  }
  AddressSet operator&(const AddressSet& other) const {
    return {ipv4 & other.ipv4, ipv6 & other.ipv6};
  }
  AddressSet operator-(const AddressSet& other) const {
    return {ipv4 - other.ipv4, ipv6 - other.ipv6};
  }
  AddressSet operator~() const { return {~ipv4, ~ipv6}; }
  bool operator==(const AddressSet&) const = default;
};

// The fewest prefixes that cover exactly the set, in address order.
std::vector<Prefix> to_prefixes(const IntervalSet<Ipv4>& set);
std::vector<Prefix> to_prefixes(const IntervalSet<Ipv6>& set);

// "10.0.0.0/16", "10.0.0.1", or "10.0.0.1-10.0.0.7" where the interval is no prefix.
std::string format(const Interval<Ipv4>& interval);
std::string format(const Interval<Ipv6>& interval);

}  // namespace rolewall::net
