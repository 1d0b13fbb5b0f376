#include "compile/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/calendar.h"
#include "base/check.h"
#include "compile/written.h"

namespace rolewall::compile {
namespace {

bool covers(const std::string& pattern, const std::string& device) {
  return pattern.ends_with('*') && std::string_view(device).starts_with(
                                       std::string_view(pattern).substr(0, pattern.size() - 1));
}

// The devices of one host's interface; of those that a wildcard covers, the wildcard alone.
std::vector<std::string> devices_of(const policy::Host& host,
                                    const std::vector<std::string>& names) {
  std::vector<std::string> devices;
  for (const std::string& name : names) {
    for (const policy::HostInterface& interface : host.interfaces) {
      if (interface.name != name) continue;
      devices.insert(devices.end(), interface.devices.begin(), interface.devices.end());
    }
  }
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  std::vector<std::string> least;
  for (const std::string& device : devices) {
    const bool covered = std::any_of(devices.begin(), devices.end(), [&](const std::string& other) {
      return other != device && covers(other, device);
    });
    if (!covered) least.push_back(device);
  }
  return least;
}

// A site of many rules names few networks: each name is looked up once.
class Lowering {
 public:
  Lowering(const policy::Policy& policy, const policy::HostPolicy& host)
      : policy_(policy), host_(host) {}

  LoweredRule rule(const policy::Rule& rule) {
    LoweredRule lowered;
    lowered.full_name = rule.full_name;
    lowered.direction = rule.direction;
    lowered.conditions = conditions(rule.conditions);
    lowered.action = rule.action;
    lowered.limit = rule.limit;
    lowered.connections = rule.connections;
    lowered.log = rule.log;
    lowered.log_limit = rule.log_limit;
    lowered.helper = rule.helper;
    lowered.segment_size = rule.segment_size;
    lowered.translation = rule.translation;
    return lowered;
  }

 private:
  Conditions conditions(const policy::Conditions& written) {
    const auto& [services, from, to, in, out, written_user] = written;
    Conditions lowered;
    auto& [service, source, destination, in_devices, out_devices, user] = lowered;
    service = traffic(services);
    source = addresses(from);
    destination = addresses(to);
    in_devices = devices(in);
    out_devices = devices(out);
    user = written_user;
    return lowered;
  }

  static ServiceCondition traffic(const policy::ServiceList& services) {
    std::vector<Traffic> boxes;
    for (const auto& literal : services.literals) boxes.push_back(traffic_of(literal));
    return {!services.given, disjoint(boxes)};
  }

  std::vector<std::string> devices(const std::vector<std::string>& interfaces) const {
    auto devices = devices_of(*host_.host, interfaces);
    // An interface that this host has not leaves the rule out (effective_policy); an empty list
    // here would silently mean every interface.
    CHECK(interfaces.empty() || !devices.empty(), "a rule's interface has no device");
    return devices;
  }

  AddressCondition addresses(const policy::Selectors& selectors) {
    if (!selectors.given) return {};
    if (selectors.items.size() != 1 || selectors.items[0].negated) {
      return {policy::addresses_of(policy_, selectors, host_.index), ""};
    }
    const policy::Term& term = selectors.items[0].term;
    const auto key = std::pair(term.kind, term.index);
    if (term.kind == policy::TermKind::Prefix) {
      return {policy::addresses_of(policy_, term, host_.index), ""};
    }
    auto [at, fresh] = named_.try_emplace(key);
    if (fresh) at->second = {policy::addresses_of(policy_, term, host_.index), name_of(term)};
    return at->second;
  }

  std::string name_of(const policy::Term& term) const {
    switch (term.kind) {
      case policy::TermKind::Any:
        return "any";
      case policy::TermKind::Internet:
        return "internet";
      case policy::TermKind::Site:
        return "site";
      case policy::TermKind::Self:
        return "self";
      case policy::TermKind::Management:
        return "management";
      case policy::TermKind::LinkLocal:
        return "link-local";
      case policy::TermKind::Prefix:
        return "";
      case policy::TermKind::Host:
        return policy_.hosts[term.index].name;
      case policy::TermKind::Role:
        return policy_.files[term.index].name;
      case policy::TermKind::Tag:
        return policy_.tags[term.index].name;
      case policy::TermKind::Network:
        return policy_.networks[term.index].name;
    }
    return "";
  }

  const policy::Policy& policy_;
  const policy::HostPolicy& host_;
  std::map<std::pair<policy::TermKind, policy::Index>, AddressCondition> named_;
};

// An address of one family translates packets of that family alone.
void keep_families(LoweredRule& rule, const policy::Translation& translation) {
  if (translation.addresses.empty()) return;
  const auto has = [&](bool ipv4) {
    return std::any_of(translation.addresses.begin(), translation.addresses.end(),
                       [&](const auto& address) { return net::is_ipv4(address) == ipv4; });
  };
  if (!has(true)) rule.conditions.source.set.ipv4 = {};
  if (!has(false)) rule.conditions.source.set.ipv6 = {};
}

// `forwards`: its policy says so. Whether the kernel does is the running machine's word.
ruleset::Host host_of(const policy::Host& host, bool forwards) {
  ruleset::Host result;
  result.forwards_ipv4 = forwards;
  result.forwards_ipv6 = forwards;
  result.name = host.name;
  result.addresses = host.addresses;
  result.virtual_addresses = host.virtual_addresses;
  for (const policy::HostInterface& interface : host.interfaces) {
    for (const std::string& device : interface.devices) {
      ruleset::Interface& added = result.interfaces.emplace_back();
      added.name = interface.name;
      added.device = device;
      added.behind = interface.behind.value_or(net::AddressSet{});
    }
  }
  return result;
}

std::vector<Behind> behind_of(const policy::Host& host) {
  std::vector<Behind> behind;
  for (const policy::HostInterface& interface : host.interfaces) {
    if (interface.behind) behind.push_back({*interface.behind, interface.devices});
  }
  return behind;
}

ruleset::SourceMap source_map(const policy::Policy& policy, const policy::HostPolicy& host) {
  ruleset::SourceMap sources;
  for (const auto* rules : {&host.inbound, &host.outbound, &host.forward, &host.nat}) {
    for (const policy::EffectiveRule& effective : *rules) {
      const policy::Rule& rule = *effective.rule;
      sources[rule.full_name] = {.file = policy.sources.path(rule.span.file),
                                 .line = rule.span.line,
                                 .column = rule.span.column,
                                 .expires = rule.expires ? format_date(*rule.expires) : ""};
    }
  }
  return sources;
}

}  // namespace

const policy::Translation& translation_of(const LoweredRule& rule) {
  CHECK(rule.translation.has_value(), "only a [[nat]] rule translates");
  return *rule.translation;
}

std::vector<const net::ConntrackHelper*> LoweredPolicy::helpers() const {
  std::vector<const net::ConntrackHelper*> found;
  for (const auto* rules : {&inbound, &outbound, &forward}) {
    for (const LoweredRule& rule : *rules) {
      if (rule.helper != nullptr) found.push_back(rule.helper);
    }
  }
  std::ranges::sort(found, {}, &net::ConntrackHelper::name);
  const auto again = std::ranges::unique(found);
  found.erase(again.begin(), again.end());
  return found;
}

LoweredPolicy lower(const policy::Policy& policy, const policy::HostPolicy& host) {
  Lowering lowering(policy, host);
  LoweredPolicy lowered;
  lowered.host = host_of(*host.host, !host.forward.empty() || !host.nat.empty());
  lowered.sources = source_map(policy, host);
  lowered.written = written(policy, host);
  lowered.defaults = host.defaults;
  lowered.behind = behind_of(*host.host);
  lowered.inbound.reserve(host.inbound.size());
  lowered.outbound.reserve(host.outbound.size());
  lowered.forward.reserve(host.forward.size());
  for (const auto& effective : host.inbound) {
    auto& list = effective.rule->early ? lowered.early : lowered.inbound;
    list.push_back(lowering.rule(*effective.rule));
  }
  for (const auto& effective : host.outbound) {
    lowered.outbound.push_back(lowering.rule(*effective.rule));
  }
  for (const auto& effective : host.forward) {
    lowered.forward.push_back(lowering.rule(*effective.rule));
  }
  for (const auto& effective : host.nat) {
    LoweredRule rule = lowering.rule(*effective.rule);
    const policy::Translation& translation = translation_of(rule);
    keep_families(rule, translation);
    auto& list = translation.of_source() ? lowered.new_source : lowered.new_destination;
    list.push_back(std::move(rule));
  }
  return lowered;
}

}  // namespace rolewall::compile
