#include "policy/policy.h"

#include <algorithm>

#include "base/check.h"
#include "net/known_addresses.h"

namespace rolewall::policy {
namespace {

void append(std::vector<net::Prefix>& to, const std::vector<net::Prefix>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

net::AddressSet link_local() {
  return net::known_addresses({"169.254.0.0/16", "fe80::/10"});
}

// The union of the terms, negated ones or plain ones. Literal prefixes and hosts are gathered
// first, so that a long list is sorted once.
net::AddressSet union_of(const Policy& policy, const std::vector<Selector>& items, bool negated,
                         Index self) {
  std::vector<net::Prefix> prefixes;
  net::AddressSet set;
  for (const Selector& item : items) {
    if (item.negated != negated) continue;
    if (item.term.kind == TermKind::Prefix) {
      prefixes.push_back(item.term.prefix);
    } else if (item.term.kind == TermKind::Host) {
      append(prefixes, policy.hosts[item.term.index].addresses);
      append(prefixes, policy.hosts[item.term.index].virtual_addresses);
    } else {
      set = set | addresses_of(policy, item.term, self);
    }
  }
  if (prefixes.empty()) return set;
  return set | net::AddressSet::from(prefixes);
}

bool names_host(const Policy& policy, const Term& term, Index host) {
  const Host& h = policy.hosts[host];
  switch (term.kind) {
    case TermKind::Any:
    case TermKind::Site:
    case TermKind::Self:
      return true;
    case TermKind::Host:
      return term.index == host;
    case TermKind::Role:
      return std::find(h.roles.begin(), h.roles.end(), term.index) != h.roles.end();
    case TermKind::Tag:
      return std::find(h.tags.begin(), h.tags.end(), term.index) != h.tags.end();
    case TermKind::Internet:
    case TermKind::Management:
    case TermKind::LinkLocal:
    case TermKind::Prefix:
    case TermKind::Network:
      break;
  }
  return false;
}

}  // namespace

std::string_view name_of(Action action) {
  switch (action) {
    case Action::Accept:
      return "accept";
    case Action::Drop:
      return "drop";
    case Action::Reject:
      return "reject";
  }
  return "";
}

net::AddressSet Host::all_addresses() const {
  std::vector<net::Prefix> prefixes = addresses;
  append(prefixes, virtual_addresses);
  return net::AddressSet::from(prefixes);
}

std::optional<Index> find_host(const Policy& policy, std::string_view name) {
  const auto [begin, end] = policy.names.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (it->second.kind == TermKind::Host) return it->second.index;
  }
  return std::nullopt;
}

bool has_interface(const Host& host, std::string_view name) {
  if (host.interfaces.empty() || name == "lo") return true;
  const auto is_named = [&](const std::string& device) {
    if (!device.ends_with('*')) return name == device;
    return name.starts_with(std::string_view(device).substr(0, device.size() - 1));
  };
  return std::ranges::any_of(host.interfaces, [&](const HostInterface& interface) {
    return interface.name == name || std::ranges::any_of(interface.devices, is_named);
  });
}

net::AddressSet addresses_of(const Policy& policy, const Term& term, Index self) {
  switch (term.kind) {
    case TermKind::Any:
      return net::AddressSet::all();
    case TermKind::Internet:
      return policy.internet;
    case TermKind::Site:
      return policy.site_addresses;
    case TermKind::Self:
      CHECK(self < policy.hosts.size(), "`self` is asked for without a host");
      return policy.hosts[self].all_addresses();
    case TermKind::Management:
      return policy.management_addresses;
    case TermKind::LinkLocal:
      return link_local();
    case TermKind::Prefix:
      return net::AddressSet::from({term.prefix});
    case TermKind::Host:
      return policy.hosts[term.index].all_addresses();
    case TermKind::Role:
      return policy.files[term.index].addresses;
    case TermKind::Tag:
      return policy.tags[term.index].addresses;
    case TermKind::Network:
      break;
  }
  return policy.networks[term.index].addresses;
}

net::AddressSet addresses_of(const Policy& policy, const Selectors& selectors, Index self) {
  const bool plain = std::any_of(selectors.items.begin(), selectors.items.end(),
                                 [](const Selector& item) { return !item.negated; });
  const bool negated = std::any_of(selectors.items.begin(), selectors.items.end(),
                                   [](const Selector& item) { return item.negated; });
  net::AddressSet set =
      plain ? union_of(policy, selectors.items, false, self) : net::AddressSet::all();
  if (negated) set = set - union_of(policy, selectors.items, true, self);
  return set;
}

bool names_host(const Policy& policy, const Selectors& selectors, Index host) {
  bool plain = false;
  bool named = false;
  for (const Selector& item : selectors.items) {
    const bool hit = names_host(policy, item.term, host);
    if (item.negated && hit) return false;
    plain = plain || !item.negated;
    named = named || (!item.negated && hit);
  }
  return named || !plain;
}

}  // namespace rolewall::policy
