// Bans and openings in a table that no kernel holds: what `ban` and `allow` would have made of a
// compiled one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "apply/run_time_jumps.h"
#include "net/address.h"
#include "ruleset/own_table.h"
#include "ruleset/ruleset.h"

namespace rolewall::test {

struct Opening {
  std::uint8_t protocol = 6;
  std::uint16_t port = 0;
  net::Address from;
  bool operator==(const Opening&) const = default;
};

struct RunTime {
  std::vector<net::Prefix> banned;
  std::vector<Opening> allowed;

  bool empty() const { return banned.empty() && allowed.empty(); }
};

inline ruleset::Set& run_time_set(ruleset::Table& table, const std::string& name) {
  const auto at = std::ranges::find(table.sets, name, &ruleset::Set::name);
  if (at == table.sets.end()) std::abort();  // a compiled table has it
  at->elements.key_size = at->key_size();
  return *at;
}

inline void add(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

inline void ban(ruleset::Table& table, const net::Prefix& prefix) {
  namespace own = ruleset::own;
  std::string name = own::banned_set(net::is_ipv4(prefix.address));
  const unsigned bits = net::address_bits(prefix.address);
  if (prefix.length != bits) name = own::prefixes(std::move(name));
  ruleset::Elements& elements = run_time_set(table, name).elements;
  const std::vector<std::uint8_t> first = net::to_bytes(prefix.address);
  add(elements.keys, first);
  if (prefix.length == bits) return;
  std::vector<std::uint8_t> last = first;
  for (unsigned bit = prefix.length; bit < bits; ++bit) {
    last[bit / 8] = static_cast<std::uint8_t>(last[bit / 8] | 0x80U >> bit % 8);
  }
  add(elements.key_ends, last);
}

// Each part of a concatenation fills four bytes at least.
inline void allow(ruleset::Table& table, const Opening& opening) {
  const std::string name = ruleset::own::allowed_set(net::is_ipv4(opening.from));
  std::vector<std::uint8_t>& keys = run_time_set(table, name).elements.keys;
  add(keys, {opening.protocol, 0, 0, 0, static_cast<std::uint8_t>(opening.port >> 8),
             static_cast<std::uint8_t>(opening.port), 0, 0});
  add(keys, net::to_bytes(opening.from));
}

inline void put(const RunTime& entries, ruleset::Table& table) {
  for (const net::Prefix& prefix : entries.banned) ban(table, prefix);
  for (const Opening& opening : entries.allowed) allow(table, opening);
  for (ruleset::Set& set : table.sets) {
    if (set.has_timeout) set.elements.sort();
  }
  apply::add_run_time_jumps(table, apply::held_by(table));
}

}  // namespace rolewall::test
