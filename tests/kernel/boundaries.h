// The values at which a ruleset changes its mind: the ends of what its sets and comparisons name,
// and their neighbours. Packets are aimed at them, since a mistake is seldom anywhere else.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "net/address.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::kernel_judge {

struct Boundaries {
  std::vector<net::Address> ipv4;
  std::vector<net::Address> ipv6;
  std::vector<std::uint16_t> ports;
  std::vector<std::uint8_t> protocols;
  std::vector<std::uint8_t> icmp_types;
  std::vector<std::uint32_t> users;

  // Of a set with more elements than kMostOfASet as many are taken, evenly spaced.
  static constexpr std::size_t kMostOfASet = 2'000;
  static Boundaries of(const ruleset::Ruleset& ruleset, const ruleset::Host& host);
};

}  // namespace rolewall::kernel_judge
