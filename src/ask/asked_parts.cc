#include "ask/asked_parts.h"

#include <algorithm>

namespace rolewall::ask {

using policy::Index;
using policy::TermKind;

const net::AddressSet& near_addresses() {
  static const net::AddressSet kNear = net::AddressSet::from(
      {*net::parse_prefix("224.0.0.0/4"), *net::parse_prefix("255.255.255.255"),
       *net::parse_prefix("ff00::/8"), *net::parse_prefix("fe80::/10")});
  return kNear;
}

namespace {

// As a host, and not as one of a network's addresses.
bool names_as_host(const policy::Policy& policy, const policy::Selectors& selectors, Index host,
                   const Asking& asking) {
  const auto& entry = policy.hosts[host];
  const auto has = [](const std::vector<Index>& all, Index one) {
    return std::ranges::find(all, one) != all.end();
  };
  return std::ranges::any_of(selectors.items, [&](const policy::Selector& item) {
    if (item.negated) return false;
    switch (item.term.kind) {
      case TermKind::Host:
        return item.term.index == host;
      case TermKind::Role:
        return has(entry.roles, item.term.index);
      case TermKind::Tag:
        return has(entry.tags, item.term.index);
      case TermKind::Self:
        return asking.self == host;
      case TermKind::Site:
        return true;
      case TermKind::Prefix:
        return item.term.prefix.length == net::address_bits(item.term.prefix.address);
      case TermKind::Any:
      case TermKind::Internet:
      case TermKind::Management:
      case TermKind::LinkLocal:
      case TermKind::Network:
        return false;
    }
    return false;
  });
}

}  // namespace

AskedWords asked_words(const policy::Policy& policy, const policy::PacketWords& words,
                       const Asking& asking) {
  const Index self = asking.self.value_or(0);
  AskedWords asked{policy::addresses_of(policy, words.from.selectors, self),
                   policy::addresses_of(policy, words.to.selectors, self),
                   words.at_self ? asking.self : words.at};
  // Broadcast to a whole link is nothing of the internet's, unless it is named.
  const auto& items = words.to.selectors.items;
  const auto is_of_internet = [](const policy::Selector& item) {
    return item.negated || item.term.kind == TermKind::Internet;
  };
  if (!items.empty() && std::ranges::all_of(items, is_of_internet)) {
    asked.to = asked.to - net::AddressSet::from({*net::parse_prefix("255.255.255.255")});
  }
  if (asked.at) {
    asked.sends_named = names_as_host(policy, words.from.selectors, *asked.at, asking);
  }
  return asked;
}

std::vector<AskedPart> asked_parts(const policy::Policy& policy, const policy::PacketWords& words,
                                   const AskedWords& asked, const Asking& asking, Index host) {
  if (asking.alone && asking.self != host) return {};
  const policy::Host& entry = policy.hosts[host];
  const net::AddressSet own = entry.all_addresses();
  const net::AddressSet& near = near_addresses();
  const bool is_at = asked.at == host;
  const bool leaves = words.out && !words.in;
  std::vector<AskedPart> parts;
  const auto add = [&](Does does, net::AddressSet from, net::AddressSet to) {
    const bool possible =
        !(from.ipv4.empty() || to.ipv4.empty()) || !(from.ipv6.empty() || to.ipv6.empty());
    const bool has_devices = !asked.at || is_at;
    if (possible) parts.push_back({host, does, std::move(from), std::move(to), has_devices});
  };
  const net::AddressSet sent = asked.from & own;
  if (!asked.at || !is_at || asked.sends_named) add(Does::Send, sent, asked.to - own);
  if (is_at && leaves) add(Does::Send, asked.from - own, asked.to & near);
  net::AddressSet received = asked.to & own;
  if (is_at && !leaves) received = received | (asked.to & near);
  add(Does::Receive, asked.from - own, received);
  if (is_at) add(Does::PassOn, asked.from - own, asked.to - own - near);
  // What is said to arrive is not what it sends, nor the other way round.
  std::erase_if(parts, [&](const AskedPart& part) {
    if (part.does == Does::Send) return words.in.has_value() && asking.alone;
    if (part.does == Does::Receive) return leaves && asking.alone;
    return false;
  });
  const auto lacks = [&](const std::optional<policy::InterfaceWord>& word) {
    return word && !policy::has_interface(entry, word->text);
  };
  std::erase_if(parts, [&](const AskedPart& part) {
    const bool in = part.does != Does::Send && lacks(words.in);
    const bool out = part.does != Does::Receive && lacks(words.out);
    return (in || out) && part.has_devices;
  });
  if (words.user && asking.alone) {
    std::erase_if(parts, [](const AskedPart& part) { return part.does != Does::Send; });
  }
  return parts;
}

}  // namespace rolewall::ask
