#include "ask/ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "net/prefixes.h"

namespace rolewall::ask {
namespace {

using net::Address;
using net::Ipv4;
using net::Ipv6;
using policy::Index;
using policy::TermKind;

// What `any` and `internet` send from, where the site leaves them to the internet.
constexpr Ipv4 kInternetIpv4{0xc0000201};  // 192.0.2.1
constexpr Ipv6 kInternetIpv6{net::Uint128{0x20010db8ffff0000} << 64 | 1};
constexpr Ipv4 kLinkLocalIpv4{0xa9fe0001};  // 169.254.0.1
constexpr Ipv6 kLinkLocalIpv6{net::Uint128{0xfe80000000000000} << 64 | 1};

std::string bytes_of(const Address& address) {
  const auto bytes = net::to_bytes(address);
  return {bytes.begin(), bytes.end()};
}

bool holds(const net::Prefix& prefix, const Address& address) {
  return prefix.address.index() == address.index() && net::first(prefix) <= address &&
         address <= net::last(prefix);
}

// The first of the set at or after `wanted`, else the set's first.
template <class Value>
std::optional<Value> at_or_after(const net::IntervalSet<Value>& set, Value wanted) {
  if (set.empty()) return std::nullopt;
  for (const auto& interval : set.intervals()) {
    if (interval.last.value >= wanted.value) return std::max(interval.first, wanted);
  }
  return set.intervals().front().first;
}

// A prefix from :: on that is no longer than this holds 2000::/3, where machines are (RFC 4291,
// 2.4); its own ends are the loopback's and a group.
constexpr unsigned kMostOfIpv6 = 2;

constexpr net::Uint128 kFar = ~net::Uint128{0};

// The size of the interval that holds both.
template <class Value>
net::Uint128 range_of_both(const net::IntervalSet<Value>& set, Value a, Value b) {
  if (set.is_all()) return kFar;
  const auto& intervals = set.intervals();
  const auto after = std::ranges::upper_bound(intervals, std::min(a, b), {},
                                              [](const auto& interval) { return interval.first; });
  if (after == intervals.begin()) return kFar;
  const auto& interval = *std::prev(after);
  if (interval.last < std::max(a, b)) return kFar;
  return interval.last.value - interval.first.value;
}

}  // namespace

std::pair<Address, Address> host_addresses(const net::Prefix& prefix) {
  Address first = net::first(prefix);
  Address last = net::last(prefix);
  const unsigned bits = net::address_bits(prefix.address);
  if (bits - prefix.length < 2) return {first, last};
  if (auto* ipv4 = std::get_if<Ipv4>(&first)) {
    ++ipv4->value;
    --std::get<Ipv4>(last).value;
  } else if (prefix.length <= kMostOfIpv6 && std::get<Ipv6>(first).value == 0) {
    first = *net::parse_address("2000::1");
    last = *net::parse_address("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  } else {
    ++std::get<Ipv6>(first).value;
  }
  return {first, last};
}

Ends::Ends(const policy::Policy& policy) : policy_(policy) {
  for (Index host = 0; host < policy.hosts.size(); ++host) {
    const policy::Host& entry = policy.hosts[host];
    for (const auto* prefixes : {&entry.addresses, &entry.virtual_addresses}) {
      for (const net::Prefix& prefix : *prefixes) {
        if (prefix.length == net::address_bits(prefix.address)) {
          auto& bearers = bearers_[bytes_of(prefix.address)];
          if (bearers.empty() || bearers.back() != host) bearers.push_back(host);
        } else {
          pools_.push_back({prefix, host});
        }
      }
    }
  }
}

std::vector<Index> Ends::bearers(const Address& address) const {
  std::vector<Index> found;
  if (const auto at = bearers_.find(bytes_of(address)); at != bearers_.end()) found = at->second;
  for (const Pool& pool : pools_) {
    if (holds(pool.prefix, address)) found.push_back(pool.host);
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<Party> Ends::parties(const policy::Selectors& selectors,
                                 std::optional<Index> self) const {
  std::vector<Party> parties;
  net::AddressSet left_out;
  bool plain = false;
  for (const policy::Selector& item : selectors.items) {
    if (item.negated) {
      if (item.term.kind == TermKind::Self && !self) continue;
      left_out = left_out | policy::addresses_of(policy_, item.term, self.value_or(0));
    } else {
      plain = true;
      add(item.term, self, parties);
    }
  }
  if (!plain) add({TermKind::Any, 0, {}, "any", selectors.span}, self, parties);

  std::vector<Party> kept;
  std::unordered_map<std::string, std::size_t> known;
  for (Party& party : parties) {
    std::erase_if(party.addresses,
                  [&](const Address& address) { return left_out.contains(address); });
    if (party.addresses.empty()) continue;
    std::string name = party.host ? fmt::format("{} ", *party.host) : "";
    for (const Address& address : party.addresses) name += bytes_of(address) + ' ';
    const auto [same, is_new] = known.emplace(std::move(name), kept.size());
    if (is_new) {
      kept.push_back(std::move(party));
    } else {
      kept[same->second].sampled = kept[same->second].sampled && party.sampled;
    }
  }
  return kept;
}

void Ends::add(const policy::Term& term, std::optional<Index> self,
               std::vector<Party>& parties) const {
  switch (term.kind) {
    case TermKind::Any:
      add_internet(parties);
      for (const policy::Network& network : policy_.networks) {
        if (network.literal) add_network(network, parties);
      }
      return;
    case TermKind::Internet:
      add_internet(parties);
      return;
    case TermKind::Site:
      for (Index host = 0; host < policy_.hosts.size(); ++host) add_host(host, parties);
      return;
    case TermKind::Self:
      if (self) add_host(*self, parties);
      return;
    case TermKind::Management:
      if (policy_.management) {
        for (Party& party : this->parties(*policy_.management, self)) {
          parties.push_back(std::move(party));
        }
      }
      return;
    case TermKind::LinkLocal:
      parties.push_back({std::nullopt, {kLinkLocalIpv4}});
      parties.push_back({std::nullopt, {kLinkLocalIpv6}});
      return;
    case TermKind::Prefix:
      add_prefix(term.prefix, parties);
      return;
    case TermKind::Host:
      add_host(term.index, parties);
      return;
    case TermKind::Role:
      for (Index host = 0; host < policy_.hosts.size(); ++host) {
        const auto& roles = policy_.hosts[host].roles;
        if (std::find(roles.begin(), roles.end(), term.index) != roles.end()) {
          add_host(host, parties);
        }
      }
      return;
    case TermKind::Tag:
      for (const Index host : policy_.tags[term.index].hosts) add_host(host, parties);
      return;
    case TermKind::Network: {
      const policy::Network& network = policy_.networks[term.index];
      // `resolvers = "any"` is any: 0.0.0.1 and its like are no samples of it.
      const net::AddressSet& all = network.addresses;
      if (!network.literal && all.ipv4.is_all() && all.ipv6.is_all()) {
        add({TermKind::Any, 0, {}, term.text, term.span}, self, parties);
      } else {
        add_network(network, parties);
      }
      return;
    }
  }
}

// A pool is two parties: its first machine and its last.
void Ends::add_host(Index host, std::vector<Party>& parties) const {
  const policy::Host& entry = policy_.hosts[host];
  Party first{host, {}};
  Party last{host, {}};
  for (const auto* prefixes : {&entry.addresses, &entry.virtual_addresses}) {
    for (const net::Prefix& prefix : *prefixes) {
      const auto [low, high] = host_addresses(prefix);
      first.addresses.push_back(low);
      last.addresses.push_back(high);
    }
  }
  const bool pool = first != last;
  parties.push_back(std::move(first));
  if (pool) parties.push_back(std::move(last));
}

void Ends::add_address(const Address& address, std::vector<Party>& parties) const {
  const std::vector<Index> hosts = bearers(address);
  for (const Index host : hosts) parties.push_back({host, {address}});
  if (hosts.empty()) parties.push_back({std::nullopt, {address}});
}

void Ends::add_prefix(const net::Prefix& prefix, std::vector<Party>& parties) const {
  const auto [first, last] = host_addresses(prefix);
  const std::size_t before = parties.size();
  add_address(first, parties);
  if (first == last) return;
  add_address(last, parties);
  for (std::size_t i = before; i < parties.size(); ++i) parties[i].sampled = true;
}

void Ends::add_network(const policy::Network& network, std::vector<Party>& parties) const {
  std::vector<net::Prefix> prefixes = network.prefixes;
  if (prefixes.empty()) {
    prefixes = net::to_prefixes(network.addresses);
  }
  const std::size_t count = std::min(prefixes.size(), kMaxPrefixesOfNetwork);
  std::vector<Party> found;
  for (std::size_t i = 0; i < count; ++i) add_prefix(prefixes[i * prefixes.size() / count], found);
  // The network's own "!" terms: its prefixes are as written, its addresses what is left of them.
  for (Party& party : found) {
    if (network.addresses.contains(party.addresses.front())) parties.push_back(std::move(party));
  }
}

void Ends::add_internet(std::vector<Party>& parties) const {
  if (const auto ipv4 = at_or_after(policy_.internet.ipv4, kInternetIpv4)) {
    parties.push_back({std::nullopt, {*ipv4}});
  }
  if (const auto ipv6 = at_or_after(policy_.internet.ipv6, kInternetIpv6)) {
    parties.push_back({std::nullopt, {*ipv6}});
  }
}

// How large the narrowest range of a network is that holds both; the greatest number where none
// does. A network that stands for every address (a shipped default that the site did not narrow)
// says nothing about who is near whom.
net::Uint128 Ends::distance(const Address& a, const Address& b) const {
  net::Uint128 least = kFar;
  for (const policy::Network& network : policy_.networks) {
    if (const auto* ipv4 = std::get_if<Ipv4>(&a)) {
      least = std::min(least, range_of_both(network.addresses.ipv4, *ipv4, std::get<Ipv4>(b)));
    } else {
      least = std::min(least,
                       range_of_both(network.addresses.ipv6, std::get<Ipv6>(a), std::get<Ipv6>(b)));
    }
  }
  return least;
}

std::optional<std::pair<Address, Address>> Ends::meet(const Party& from, const Party& to,
                                                      bool ipv4) const {
  std::vector<Address> sources;
  std::vector<Address> destinations;
  const auto of_family = [&](const Address& address) { return net::is_ipv4(address) == ipv4; };
  std::copy_if(from.addresses.begin(), from.addresses.end(), std::back_inserter(sources),
               of_family);
  std::copy_if(to.addresses.begin(), to.addresses.end(), std::back_inserter(destinations),
               of_family);
  if (sources.empty() || destinations.empty()) return std::nullopt;

  // The first of the nearest.
  const auto nearest = [&](const std::vector<Address>& candidates,
                           const std::vector<Address>& others) {
    const auto by_distance = [&](const Address& address) {
      net::Uint128 least = kFar;
      for (const Address& other : others) least = std::min(least, distance(address, other));
      return least;
    };
    return candidates.size() == 1 ? candidates.front()
                                  : *std::ranges::min_element(candidates, {}, by_distance);
  };
  const Address source = nearest(sources, destinations);
  return std::pair{source, nearest(destinations, {source})};
}

}  // namespace rolewall::ask
