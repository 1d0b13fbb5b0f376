// Which rules of our table could admit a first packet from the network to a port of this host,
// whoever sends it and by whichever device: what is open at all.
//
// The input chain is walked with the packet's protocol, port and family known, and nothing else: a
// condition on what is not known may hold or not. So a rule that is not found admits no such packet
// for certain; one that is found admits some, if nothing in front of it takes all of them away.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/address.h"
#include "ruleset/ruleset.h"
#include "ruleset/table_index.h"

namespace rolewall::observe {

struct Port {
  std::uint8_t protocol = 0;  // tcp or udp
  std::uint16_t number = 0;
  auto operator<=>(const Port&) const = default;
};

// Holds references into the table, which must outlive it.
class Admission {
 public:
  explicit Admission(const ruleset::Table& own);

  // `to`: the address that is asked for, where the socket has one of its own. `translations`: some
  // chain, ours or another, may have changed where the packet goes before our table sees it; what
  // it was asked for is not known then. The rules by their ids, the built-in steps' in parentheses,
  // the loopback's left out.
  std::set<std::string> of(bool ipv6, Port port, const std::optional<net::Address>& to,
                           bool translations) const;

 private:
  friend class Walk;
  const ruleset::Table& own_;
  ruleset::TableIndex names_;
};

// Ranges of ports between which no rule of the table tells apart, in order; together all of them.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};
std::vector<PortRange> told_apart(const ruleset::Table& own);

}  // namespace rolewall::observe
