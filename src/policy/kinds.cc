#include "policy/kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

bool ports_meet(const net::PortRange& a, const net::PortRange& b) {
  return a.first <= b.last && b.first <= a.last;
}

bool is_within(const ServiceLiteral& inner, const ServiceLiteral& outer) {
  if (inner.protocol != outer.protocol) return false;
  if (!net::has_ports(inner.protocol)) {
    return !outer.icmp_type || inner.icmp_type == outer.icmp_type;
  }
  return outer.destination.first <= inner.destination.first &&
         inner.destination.last <= outer.destination.last &&
         outer.source.first <= inner.source.first && inner.source.last <= outer.source.last;
}

bool is_named(const Policy& policy, std::string_view name, const ServiceList& services,
              KindWord word) {
  const Kind& kind = kind_of(policy, word);
  if (std::ranges::find(kind.services, name) != kind.services.end()) return true;
  const auto meets = [&](const ServiceLiteral& literal) {
    return meets_kind(policy, literal, word);
  };
  if (is_literal(name)) {
    return std::ranges::any_of(services.literals, [&](const ServiceLiteral& literal) {
      return literal.text == name && meets(literal);
    });
  }
  const auto found = policy.service_names.find(name);
  if (found == policy.service_names.end()) return false;
  const Service& service = policy.services[found->second];
  return !service.shipped && std::ranges::any_of(service.literals, meets);
}

}  // namespace

bool literals_meet(const ServiceLiteral& a, const ServiceLiteral& b) {
  if (a.protocol != b.protocol) return false;
  if (!net::has_ports(a.protocol))
    return !a.icmp_type || !b.icmp_type || a.icmp_type == b.icmp_type;
  return ports_meet(a.destination, b.destination) && ports_meet(a.source, b.source);
}

std::string_view name_of(KindWord kind) {
  return keys::kKinds[static_cast<std::size_t>(kind)].name;
}

const Kind& kind_of(const Policy& policy, KindWord kind) {
  return policy.kinds[static_cast<std::size_t>(kind)];
}

void read_kinds(Policy& policy, const Value& table, Keys top, bool shipped,
                Diagnostics& diagnostics) {
  const Section section(table, keys::kKinds, "[kinds]", top, diagnostics);
  for (std::size_t i = 0; i < policy.kinds.size(); ++i) {
    const Value* value = section.find(keys::kKinds[i].name);
    if (value == nullptr || policy.kinds[i].given) continue;
    ServiceList list = parse_services(policy, *value, diagnostics);
    policy.kinds[i] = {std::move(list.names), std::move(list.literals), true, shipped,
                       value->span()};
  }
}

bool is_of_kind(const Policy& policy, const ServiceList& services, KindWord kind) {
  return std::ranges::any_of(services.names, [&](const std::string& name) {
    return is_named(policy, name, services, kind);
  });
}

ServiceList services_of_kind(const Policy& policy, const ServiceList& services, KindWord kind) {
  const Kind& of = kind_of(policy, kind);
  ServiceList found;
  found.given = true;
  if (!services.given) found.literals = of.literals;
  for (const std::string& name : services.names) {
    if (!is_named(policy, name, services, kind)) continue;
    const bool by_name = std::ranges::find(of.services, name) != of.services.end();
    const auto service = policy.service_names.find(name);
    // By its ports: those that are the kind's.
    const bool is_whole = by_name && service != policy.service_names.end();
    const auto& literals = is_whole ? policy.services[service->second].literals : of.literals;
    found.literals.insert(found.literals.end(), literals.begin(), literals.end());
  }
  return found;
}

std::string port_of_kind(const Policy& policy, const ServiceList& services, KindWord kind) {
  const Kind& of = kind_of(policy, kind);
  for (const std::string& name : services.names) {
    // Called by its name: what it is for is said.
    if (std::ranges::find(of.services, name) != of.services.end()) return "";
  }
  for (const ServiceLiteral& literal : services.literals) {
    for (const std::string& name : of.services) {
      const auto found = policy.service_names.find(name);
      if (found == policy.service_names.end()) continue;
      const std::vector<ServiceLiteral>& ports = policy.services[found->second].literals;
      const bool meets = std::ranges::any_of(
          ports, [&](const ServiceLiteral& port) { return literals_meet(port, literal); });
      if (meets) return fmt::format("{} is a port of {}", literal.text, name);
    }
  }
  return "";
}

bool meets_kind(const Policy& policy, const ServiceLiteral& literal, KindWord kind) {
  return std::ranges::any_of(kind_of(policy, kind).literals, [&](const ServiceLiteral& each) {
    return literals_meet(each, literal);
  });
}

bool is_within_kind(const Policy& policy, const ServiceLiteral& literal, KindWord kind) {
  return std::ranges::any_of(kind_of(policy, kind).literals,
                             [&](const ServiceLiteral& each) { return is_within(literal, each); });
}

}  // namespace rolewall::policy
