#include "policy/families.h"

#include <algorithm>

#include "net/protocol.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

Families operator|(Families a, Families b) {
  return {a.ipv4 || b.ipv4, a.ipv6 || b.ipv6};
}
Families families_of(const net::AddressSet& set) {
  return {!set.ipv4.empty(), !set.ipv6.empty()};
}

// Of the hosts' own addresses, all together.
Families families_of(const Policy& policy, const std::vector<Index>& hosts) {
  Families families;
  for (const Index host : hosts) {
    for (const auto* addresses :
         {&policy.hosts[host].addresses, &policy.hosts[host].virtual_addresses}) {
      for (const net::Prefix& prefix : *addresses) {
        (net::is_ipv4(prefix.address) ? families.ipv4 : families.ipv6) = true;
      }
    }
    if (families.ipv4 && families.ipv6) break;
  }
  return families;
}

Families families_of(const Policy& policy, const Term& term, const std::vector<Index>& hosts) {
  constexpr Families kBoth = {true, true};
  switch (term.kind) {
    case TermKind::Any:
    case TermKind::LinkLocal:
      return kBoth;
    case TermKind::Prefix:
      return {net::is_ipv4(term.prefix.address), !net::is_ipv4(term.prefix.address)};
    case TermKind::Self:
      return families_of(policy, hosts);
    case TermKind::Role:
      return families_of(policy.files[term.index].addresses);
    case TermKind::Tag:
      return families_of(policy.tags[term.index].addresses);
    case TermKind::Network:
      return families_of(policy.networks[term.index].addresses);
    case TermKind::Internet:
      return families_of(policy.internet);
    case TermKind::Site:
      return families_of(policy.site_addresses);
    case TermKind::Management:
      return families_of(policy.management_addresses);
    case TermKind::Host:
      break;
  }
  return families_of(policy.hosts[term.index].all_addresses());
}

}  // namespace

Families operator&(Families a, Families b) {
  return {a.ipv4 && b.ipv4, a.ipv6 && b.ipv6};
}

Families families_of(const Policy& policy, const Selectors& selectors,
                     const std::vector<Index>& hosts) {
  if (!selectors.given || selectors.items.empty()) return {true, true};
  const bool subtracts = std::any_of(selectors.items.begin(), selectors.items.end(),
                                     [](const Selector& item) { return item.negated; });
  Families families;
  if (!subtracts) {
    for (const Selector& item : selectors.items) {
      families = families | families_of(policy, item.term, hosts);
    }
    return families;
  }
  // At most the families without `self`, which takes out a host's few addresses or adds its own.
  families = families_of(addresses_of(policy, without_self(selectors), 0));
  return names_self(selectors) ? families | families_of(policy, hosts) : families;
}

Families families_of(const ServiceList& services) {
  if (services.literals.empty()) return {true, true};
  Families families;
  for (const ServiceLiteral& literal : services.literals) {
    families.ipv4 = families.ipv4 || literal.protocol != net::protocol::kIcmpv6;
    families.ipv6 = families.ipv6 || literal.protocol != net::protocol::kIcmp;
  }
  return families;
}

Families families_of(const Translation& translation) {
  if (translation.addresses.empty()) return {true, true};
  Families families;
  for (const net::Address& address : translation.addresses) {
    (net::is_ipv4(address) ? families.ipv4 : families.ipv6) = true;
  }
  return families;
}

}  // namespace rolewall::policy
