#include "ask/translated_flow.h"

#include <algorithm>

#include "policy/kinds.h"
#include "policy/lint.h"

namespace rolewall::ask {
namespace {

using policy::HostPolicy;
using policy::Rule;
using Hosts = std::span<const HostPolicy* const>;

net::AddressSet addresses_of_all(Hosts hosts) {
  net::AddressSet all;
  for (const HostPolicy* each : hosts) all = all | each->host->all_addresses();
  return all;
}

bool services_meet(const policy::ServiceList& a, const policy::ServiceList& b) {
  if (!a.given || !b.given) return true;
  return std::ranges::any_of(a.literals, [&](const policy::ServiceLiteral& one) {
    return std::ranges::any_of(b.literals, [&](const policy::ServiceLiteral& other) {
      return policy::literals_meet(one, other);
    });
  });
}

bool goes_to_port(const policy::ServiceList& services, std::uint16_t port) {
  return !services.given ||
         std::ranges::any_of(services.literals, [&](const policy::ServiceLiteral& each) {
           return net::has_ports(each.protocol) && each.destination.first <= port &&
                  port <= each.destination.last;
         });
}

class Ways {
 public:
  Ways(const policy::Policy& policy, const TranslatedFlow& flow)
      : policy_(policy),
        flow_(flow),
        from_(addresses_of_all(flow.senders)),
        to_(addresses_of_all(flow.receivers)) {}

  bool by(const HostPolicy& between, const Rule& rule) const {
    return rule.translation->of_source() ? as_another(between, rule) : elsewhere(between, rule);
  }

  // A rule for what is published there: container engines translate what is written to the host.
  bool is_published() const {
    return std::ranges::any_of(flow_.receivers, [&](const HostPolicy* each) {
      return std::ranges::any_of(each->forward, [&](const policy::EffectiveRule& forward) {
        const Rule& rule = *forward.rule;
        const policy::Selectors& to = rule.conditions.to;
        return rule.action == policy::Action::Accept && to.given &&
               services_meet(rule.conditions.services, flow_.services) &&
               meet(addresses_of(policy_, to, each->index), each->host->all_addresses()) &&
               meet(sources_by_words(policy_, rule, each->index), from_);
      });
    });
  }

 private:
  static bool meet(const net::AddressSet& a, const net::AddressSet& b) { return !(a & b).empty(); }

  // Another destination: what goes to the flow's end comes to another, or from another to it.
  bool elsewhere(const HostPolicy& between, const Rule& rule) const {
    const auto& [services, from, to, in, out, user] = rule.conditions;
    if (!meet(sources_by_words(policy_, rule, between.index), from_)) return false;
    const policy::Translation& means = *rule.translation;
    const net::AddressSet first = addresses_of(policy_, to, between.index);
    if (services_meet(services, flow_.services) && meet(first, to_)) return true;
    const bool leads_there = std::ranges::any_of(
        means.addresses, [&](const net::Address& each) { return to_.contains(each); });
    const bool at_port = means.port ? goes_to_port(flow_.services, *means.port)
                                    : services_meet(services, flow_.services);
    return leads_there && at_port && is_sent(services, first);
  }

  bool is_sent(const policy::ServiceList& services, const net::AddressSet& to) const {
    return std::ranges::any_of(flow_.senders, [&](const HostPolicy* each) {
      if (each->defaults.outbound == policy::Action::Accept) return true;
      return std::ranges::any_of(each->outbound, [&](const policy::EffectiveRule& sends) {
        const Rule& rule = *sends.rule;
        return rule.action == policy::Action::Accept &&
               services_meet(rule.conditions.services, services) &&
               meet(addresses_of(policy_, rule.conditions.to, each->index), to);
      });
    });
  }

  // Another source: what the flow's end sends bears another's address, or another's bears its.
  bool as_another(const HostPolicy& between, const Rule& rule) const {
    const auto& [services, from, to, in, out, user] = rule.conditions;
    if (!services_meet(services, flow_.services) || !meet(leaving(between, rule), to_))
      return false;
    const policy::Translation& means = *rule.translation;
    net::AddressSet anew = between.host->all_addresses();
    for (const net::Address& each : means.addresses) {
      anew = anew | net::AddressSet::from({net::Prefix{each, net::address_bits(each)}});
    }
    if (meet(anew, from_)) return true;
    return meet(addresses_of(policy_, from, between.index), from_) && is_admitted(anew);
  }

  // What is behind another interface does not leave by this one.
  net::AddressSet leaving(const HostPolicy& between, const Rule& rule) const {
    net::AddressSet there = destinations_by_words(policy_, rule, between.index);
    const std::vector<std::string>& out = rule.conditions.out;
    if (out.empty()) return there;
    net::AddressSet here;
    net::AddressSet others;
    for (const policy::HostInterface& each : between.host->interfaces) {
      if (!each.behind) continue;
      const bool is_named = std::ranges::find(out, each.name) != out.end();
      (is_named ? here : others) = (is_named ? here : others) | *each.behind;
    }
    return there - (others - here);
  }

  bool is_admitted(const net::AddressSet& sources) const {
    return std::ranges::any_of(flow_.receivers, [&](const HostPolicy* each) {
      if (each->defaults.inbound == policy::Action::Accept) return true;
      return std::ranges::any_of(each->inbound, [&](const policy::EffectiveRule& admits) {
        const Rule& rule = *admits.rule;
        return rule.action == policy::Action::Accept &&
               services_meet(rule.conditions.services, flow_.services) &&
               meet(sources_by_words(policy_, rule, each->index), sources);
      });
    });
  }

  const policy::Policy& policy_;
  const TranslatedFlow& flow_;
  net::AddressSet from_;
  net::AddressSet to_;
};

}  // namespace

bool may_pass_translated(const policy::Policy& policy, Hosts translating,
                         const TranslatedFlow& flow) {
  const Ways ways(policy, flow);
  return ways.is_published() || std::ranges::any_of(translating, [&](const HostPolicy* between) {
           return std::ranges::any_of(between->nat, [&](const policy::EffectiveRule& each) {
             return ways.by(*between, *each.rule);
           });
         });
}

}  // namespace rolewall::ask
