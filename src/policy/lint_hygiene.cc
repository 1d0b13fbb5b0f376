// What is left over, concerns one half only, or is switched off.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "policy/codes.h"
#include "policy/lint.h"

namespace rolewall::policy {
namespace {

// --- what nobody uses --------------------------------------------------------------------------

void add_service_names(std::set<std::string_view>& names, const std::vector<Test>& tests) {
  for (const Test& test : tests) {
    for (const TestPacket& packet : test.packets) {
      names.insert(packet.words.service.names.begin(), packet.words.service.names.end());
    }
  }
}

void check_services(const Policy& policy, Diagnostics& findings) {
  std::set<std::string_view> named;
  for (const RuleFile& file : policy.files) {
    for (const Rule& rule : file.rules) {
      const auto& names = rule.conditions.services.names;
      named.insert(names.begin(), names.end());
    }
    add_service_names(named, file.tests);
  }
  add_service_names(named, policy.tests);
  for (const Kind& kind : policy.kinds) named.insert(kind.services.begin(), kind.services.end());
  for (const Service& service : policy.services) {
    if (service.shipped || service.of_block || named.contains(service.name)) continue;
    report(findings, Code::UnusedService, service.span,
           fmt::format("nothing uses the service {}", quote(service.name)));
  }
}

void check_unused(const Policy& policy, Diagnostics& findings) {
  for (const Network& network : policy.networks) {
    if (network.shipped || network.used) continue;
    report(findings, Code::UnusedNetwork, network.span,
           fmt::format("nothing uses the network {}", quote(network.name)));
  }
  for (const Tag& tag : policy.tags) {
    if (tag.used || tag.hosts.empty()) continue;
    report(findings, Code::UnusedTag, tag.span,
           fmt::format("nothing uses the tag {}", quote(tag.name)))
        .subject = policy.hosts[tag.hosts[0]].span;
  }
  std::set<std::string_view> borne;
  for (const Host& host : policy.hosts) {
    for (const HostInterface& interface : host.interfaces) borne.insert(interface.name);
  }
  for (const Interface& interface : policy.interfaces) {
    if (borne.contains(interface.name)) continue;
    report(findings, Code::UnusedInterface, interface.span,
           fmt::format("no host has the interface {}", quote(interface.name)));
  }
}

// --- one family alone --------------------------------------------------------------------------

struct FamilyPair {
  bool ipv4 = false;
  bool ipv6 = false;
  bool both() const { return ipv4 && ipv6; }
};

FamilyPair family_pair(const net::AddressSet& set) {
  return {!set.ipv4.empty(), !set.ipv6.empty()};
}

// Groups and neighbour discovery are of one family by their nature.
bool has_no_counterpart(const ServiceLiteral& literal) {
  constexpr std::uint8_t kIgmp = 2;
  if (literal.protocol == kIgmp) return true;
  return literal.protocol == net::protocol::kIcmpv6 && literal.icmp_type &&
         *literal.icmp_type >= 130;
}

FamilyPair family_pair(const ServiceList& services) {
  if (services.literals.empty()) return {true, true};
  FamilyPair pair;
  for (const ServiceLiteral& literal : services.literals) {
    if (has_no_counterpart(literal)) return {true, true};
    pair.ipv4 = pair.ipv4 || literal.protocol != net::protocol::kIcmpv6;
    pair.ipv6 = pair.ipv6 || literal.protocol != net::protocol::kIcmp;
  }
  return pair;
}

std::string_view other_family(const FamilyPair& pair) {
  return pair.ipv4 ? "IPv6" : "IPv4";
}

void check_rule_family(const Policy& policy, const RuleFile& file, const Rule& rule,
                       Diagnostics& findings) {
  if (rule.action != Action::Accept || rule.direction == Direction::Nat || !rule.enabled) return;
  const auto& [services, from, to, in, out, user] = rule.conditions;
  const Index self = file.hosts[0];
  const FamilyPair words = family_pair(services);
  const FamilyPair sources = family_pair(addresses_of(policy, from, self));
  const FamilyPair targets = family_pair(addresses_of(policy, to, self));
  const FamilyPair all{words.ipv4 && sources.ipv4 && targets.ipv4,
                       words.ipv6 && sources.ipv6 && targets.ipv6};
  if (all.ipv4 == all.ipv6) return;
  const std::string_view where = !words.both() ? "`service`" : !sources.both() ? "`from`" : "`to`";
  report(findings, Code::OneFamily, rule.span,
         fmt::format("{} accepts nothing over {}, which its hosts have as well", rule.full_name,
                     other_family(all)),
         fmt::format("{} is of one family alone", where));
}

void check_families(const Policy& policy, Diagnostics& findings) {
  std::vector<FamilyPair> hosts;
  for (const Host& host : policy.hosts) hosts.push_back(family_pair(host.all_addresses()));
  const bool some_both = std::ranges::any_of(hosts, &FamilyPair::both);
  for (Index host = 0; host < hosts.size(); ++host) {
    if (!some_both || hosts[host].both()) continue;
    report(findings, Code::OneFamily, policy.hosts[host].span,
           fmt::format("{} has no {} address, and other hosts of the site have both",
                       quote(policy.hosts[host].name), other_family(hosts[host])));
  }
  for (const RuleFile& file : policy.files) {
    const bool both = !file.hosts.empty() &&
                      std::ranges::all_of(file.hosts, [&](Index h) { return hosts[h].both(); });
    if (file.shipped || !both) continue;
    for (const Rule& rule : file.rules) check_rule_family(policy, file, rule, findings);
  }
}

// --- rules that do more, or less, than they seem to ----------------------------------------------

bool is_too_big(const ServiceLiteral& literal) {
  constexpr std::uint8_t kUnreachable = 3;  // IPv4's "fragmentation needed" is one of its codes
  constexpr std::uint8_t kTooBig = 2;
  if (literal.protocol == net::protocol::kIcmp) {
    return !literal.icmp_type || *literal.icmp_type == kUnreachable;
  }
  return literal.protocol == net::protocol::kIcmpv6 &&
         (!literal.icmp_type || *literal.icmp_type == kTooBig);
}

// (established) accepts these of each open connection, and early rules come before it.
void check_path_mtu(const Policy& policy, const RuleFile& file, const Rule& rule,
                    Diagnostics& findings) {
  if (!rule.early || !rule.enabled || file.hosts.empty()) return;
  const auto& [services, from, to, in, out, user] = rule.conditions;
  if (services.given && !std::ranges::any_of(services.literals, is_too_big)) return;
  if (!holds_much_of_internet(policy, addresses_of(policy, from, file.hosts[0]))) return;
  report(findings, Code::PathMtuDropped, rule.span,
         fmt::format("{} drops the messages that tell how large a packet may be", rule.full_name),
         "connections hang where a link on the way is smaller; leave ICMP errors out of the rule");
}

constexpr std::uint64_t kMostLines = 1000;  // a second

bool is_flood(const Rate& rate) {
  return rate.count / rate.per_seconds > kMostLines;
}

void check_log(const Rule& rule, Diagnostics& findings) {
  if (!rule.log_limit) return;
  if (rule.log_limit->per_source) {
    report(findings, Code::LogWithoutLimit, rule.log_limit->span,
           fmt::format("{} limits its log for each source, and not in all", rule.full_name),
           "many sources fill the disk: end the limit with `in all`")
        .subject = rule.span;
  } else if (is_flood(*rule.log_limit)) {
    report(findings, Code::LogWithoutLimit, rule.log_limit->span,
           fmt::format("{} logs more than {} packets a second", rule.full_name, kMostLines),
           "a flood of packets becomes a flood of lines")
        .subject = rule.span;
  }
}

void check_default_accept(const Action& action, Span span, std::string_view direction,
                          Diagnostics& findings) {
  if (action != Action::Accept) return;
  report(findings, Code::DefaultAccept, span,
         fmt::format("[defaults] accept every {} packet that no rule matches", direction),
         fmt::format("{} = \"drop\"", direction));
}

void check_defaults(const DefaultsOverride& defaults, Diagnostics& findings) {
  const DefaultsPlaces& at = defaults.places;
  if (defaults.mode == Mode::Audit) {
    report(findings, Code::AuditMode, at.mode, "audit mode: the defaults deny nothing",
           "mode = \"enforce\" when the log shows nothing that must pass");
  }
  if (defaults.inbound) check_default_accept(*defaults.inbound, at.inbound, "inbound", findings);
  if (defaults.forward) check_default_accept(*defaults.forward, at.forward, "forward", findings);
  if (defaults.log && is_flood(defaults.log->limit)) {
    report(findings, Code::LogWithoutLimit, at.log,
           fmt::format("[defaults] log more than {} packets a second", kMostLines),
           "a flood of packets becomes a flood of lines");
  }
}

}  // namespace

void lint_hygiene(const Policy& policy, Date date, Diagnostics& findings) {
  check_services(policy, findings);
  check_unused(policy, findings);
  check_families(policy, findings);
  const Defaults& own = policy.defaults;
  check_defaults(
      {own.inbound, own.outbound, own.forward, own.log, own.mode, {}, policy.default_places},
      findings);
  for (const RuleFile& file : policy.files) {
    if (file.shipped) continue;
    check_defaults(file.defaults, findings);
    for (const Rule& rule : file.rules) {
      if (!rule.enabled || (rule.expires && *rule.expires <= date)) continue;
      check_path_mtu(policy, file, rule, findings);
      check_log(rule, findings);
    }
  }
}

}  // namespace rolewall::policy
