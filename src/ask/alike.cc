#include "ask/alike.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "policy/effective.h"

namespace rolewall::ask {
namespace {

// `self` is another host to each, and says nothing of this one.
policy::Selectors without_self(policy::Selectors selectors) {
  std::erase_if(selectors.items, [](const policy::Selector& item) {
    return item.term.kind == policy::TermKind::Self;
  });
  return selectors;
}

// What rules say of addresses, each once: by their words; and what may name an address.
std::vector<net::AddressSet> address_lists(const policy::Policy& policy) {
  std::map<std::string, policy::Selectors> distinct;
  std::vector<net::AddressSet> lists;
  const auto add = [&](const policy::Selectors& given) {
    if (!given.given) return;
    policy::Selectors selectors = without_self(given);
    if (selectors.items.empty()) return;
    std::string key;
    for (const policy::Selector& item : selectors.items) {
      key += fmt::format("{}{}:{} ", item.negated ? "!" : "", static_cast<int>(item.term.kind),
                         item.term.text);
    }
    distinct.emplace(std::move(key), std::move(selectors));
  };
  for (const policy::RuleFile& file : policy.files) {
    for (const policy::Rule& rule : file.rules) {
      add(rule.conditions.from);
      add(rule.conditions.to);
      if (!rule.translation || rule.translation->addresses.empty()) continue;
      std::vector<net::Prefix> to;
      for (const net::Address& address : rule.translation->addresses) {
        to.push_back({address, net::address_bits(address)});
      }
      lists.push_back(net::AddressSet::from(to));
    }
  }
  for (const auto& [key, selectors] : distinct) {
    lists.push_back(addresses_of(policy, selectors, 0));
  }
  for (const policy::Network& network : policy.networks) lists.push_back(network.addresses);
  return lists;
}

void append_bytes(std::string& to, const auto& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Equal for hosts that are alike.
std::string traits_of(const policy::Policy& policy, policy::Index index, policy::Date date,
                      const std::vector<net::AddressSet>& lists) {
  const policy::Host& host = policy.hosts[index];
  policy::HostPolicy rules = effective_policy(policy, index, date);
  std::string traits;
  const auto add_numbers = [&](const std::vector<policy::Index>& numbers) {
    append_bytes(traits, numbers.size());
    for (const policy::Index number : numbers) append_bytes(traits, number);
  };
  add_numbers(host.roles);
  add_numbers(host.tags);
  for (const auto* list : {&rules.inbound, &rules.outbound, &rules.forward, &rules.nat}) {
    append_bytes(traits, list->size());
    for (const policy::EffectiveRule& each : *list) append_bytes(traits, each.rule);
  }
  for (const policy::HostInterface& interface : host.interfaces) {
    traits += fmt::format("{}:{};", interface.name, interface.devices.size());
  }
  for (const net::Prefix& own : host.addresses) {
    traits += net::is_ipv4(own.address) ? " 4" : " 6";
    for (const net::AddressSet& list : lists) {
      traits += list.contains(net::first(own)) ? '1' : '0';
      traits += list.contains(net::last(own)) ? '1' : '0';
    }
  }
  return traits;
}

}  // namespace

std::string virtual_addresses_of(const policy::Host& host) {
  std::string text;
  for (const net::Prefix& prefix : host.virtual_addresses) text += net::format(prefix) + " ";
  return text;
}

Alike::Alike(const policy::Policy& policy, policy::Date date) {
  const std::vector<net::AddressSet> lists = address_lists(policy);
  std::map<std::string, std::size_t> seen;
  for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
    const std::string traits = traits_of(policy, host, date, lists);
    kinds_.push_back(seen.emplace(traits, seen.size()).first->second);
  }
}

std::vector<std::vector<policy::Index>> Alike::groups(
    const std::vector<policy::Index>& hosts) const {
  std::vector<std::vector<policy::Index>> groups;
  std::map<std::size_t, std::size_t> of_kind;
  for (const policy::Index host : hosts) {
    const auto [at, fresh] = of_kind.emplace(kinds_[host], groups.size());
    if (fresh) groups.emplace_back();
    groups[at->second].push_back(host);
  }
  return groups;
}

}  // namespace rolewall::ask
