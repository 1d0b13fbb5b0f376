#include "ask/alike.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "policy/effective.h"

namespace rolewall::ask {
namespace {

bool depends_on_self(const policy::Selectors& selectors) {
  return std::ranges::any_of(selectors.items, [](const policy::Selector& item) {
    return item.term.kind == policy::TermKind::Self;
  });
}

// What rules say of addresses, each once: by their words. `self` is another host to each, and says
// nothing of this one.
std::vector<net::AddressSet> address_lists(const policy::Policy& policy) {
  std::map<std::string, const policy::Selectors*> distinct;
  const auto add = [&](const policy::Selectors& selectors) {
    if (!selectors.given || depends_on_self(selectors)) return;
    std::string key;
    for (const policy::Selector& item : selectors.items) {
      key += fmt::format("{}{}:{} ", item.negated ? "!" : "", static_cast<int>(item.term.kind),
                         item.term.text);
    }
    distinct.emplace(std::move(key), &selectors);
  };
  for (const policy::RuleFile& file : policy.files) {
    for (const policy::Rule& rule : file.rules) {
      add(rule.conditions.from);
      add(rule.conditions.to);
    }
  }
  std::vector<net::AddressSet> lists;
  for (const auto& [key, selectors] : distinct) {
    lists.push_back(addresses_of(policy, *selectors, 0));
  }
  return lists;
}

// Equal for hosts that are alike.
std::string traits_of(const policy::Policy& policy, policy::Index index, policy::Date date,
                      const std::vector<net::AddressSet>& lists) {
  const policy::Host& host = policy.hosts[index];
  policy::HostPolicy rules = effective_policy(policy, index, date);
  std::string traits;
  for (const policy::Index role : host.roles) traits += fmt::format("{},", role);
  for (const auto* list : {&rules.inbound, &rules.outbound, &rules.forward, &rules.nat}) {
    for (const policy::EffectiveRule& each : *list) {
      traits += fmt::format("{},", static_cast<const void*>(each.rule));
    }
    traits += ';';
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
