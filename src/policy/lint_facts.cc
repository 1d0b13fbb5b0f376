#include "policy/lint_facts.h"

#include <algorithm>
#include <utility>

#include "net/known_addresses.h"
#include "policy/lint.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

// Addresses that are somebody's own wherever they are (RFC 1918, RFC 6598, RFC 4193).
net::AddressSet private_addresses() {
  return net::known_addresses(
      {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"});
}

template <class Ip>
bool holds_interval_of(const net::IntervalSet<Ip>& set, unsigned prefix_length) {
  const auto size = typename Ip::Number{1} << (Ip::kBits - prefix_length);
  return std::any_of(set.intervals().begin(), set.intervals().end(), [&](const auto& interval) {
    return interval.last.value - interval.first.value >= size - 1;
  });
}

// What is `behind` an interface is all that arrives there, and all that is reached by it.
net::AddressSet by_words(const Policy& policy, const Selectors& selectors,
                         const std::vector<std::string>& interfaces, Index host) {
  const net::AddressSet named = addresses_of(policy, selectors, host);
  if (interfaces.empty()) return named;
  net::AddressSet behind;
  for (const HostInterface& interface : policy.hosts[host].interfaces) {
    if (std::ranges::find(interfaces, interface.name) == interfaces.end()) continue;
    if (!interface.behind) return named;
    behind = behind | *interface.behind;
  }
  return named & behind;
}

}  // namespace

net::AddressSet internet_at_large(const Policy& policy) {
  return policy.internet - private_addresses();
}

bool holds_much_of_internet(const Policy& policy, const net::AddressSet& addresses) {
  const net::AddressSet open = addresses & internet_at_large(policy);
  return holds_interval_of(open.ipv4, 8) || holds_interval_of(open.ipv6, 16);
}

bool accepts(const Rule& rule) {
  return rule.action == Action::Accept;
}

SiteFacts::SiteFacts(const Policy& policy, Date date, DecidedPackets* decided)
    : policy_(policy), decided_(decided) {
  if (policy.writers) writing_ = addresses_of(policy, *policy.writers, 0);
  if (policy.replicas) replicating_ = addresses_of(policy, *policy.replicas, 0);
  hosts_.reserve(policy.hosts.size());
  for (Index host = 0; host < policy.hosts.size(); ++host) {
    hosts_.push_back(effective_policy(policy, host, date));
  }
  for (const RuleFile& file : policy.files) {
    for (const Rule& rule : file.rules) {
      auto& kinds = kinds_[&rule];
      for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
        kinds[kind] = is_of_kind(policy, rule.conditions.services, static_cast<KindWord>(kind));
      }
    }
  }
}

Span SiteFacts::place_of(const EffectiveRule& rule, Index host) const {
  if (!rule.file->shipped) return rule.rule->span;
  const auto block = static_cast<Index>(rule.file - policy_.files.data());
  for (const Index role : policy_.hosts[host].roles) {
    const RuleFile& file = policy_.files[role];
    const auto at = std::ranges::find(file.use, block);
    if (at != file.use.end()) return file.used_at[static_cast<std::size_t>(at - file.use.begin())];
  }
  return rule.rule->span;
}

net::AddressSet sources_by_words(const Policy& policy, const Rule& rule, Index host) {
  return by_words(policy, rule.conditions.from, rule.conditions.in, host);
}

net::AddressSet destinations_by_words(const Policy& policy, const Rule& rule, Index host) {
  return by_words(policy, rule.conditions.to, rule.conditions.out, host);
}

bool SiteFacts::is_from_internet(const Rule& rule, Index host) {
  const bool same_everywhere = rule.conditions.in.empty() && !names_self(rule.conditions.from);
  if (!same_everywhere)
    return holds_much_of_internet(policy_, sources_by_words(policy_, rule, host));
  const auto [at, fresh] = from_internet_.emplace(&rule, false);
  if (fresh) at->second = holds_much_of_internet(policy_, sources_by_words(policy_, rule, host));
  return at->second;
}

net::AddressSet SiteFacts::lets_in(const Rule& rule, Index host, std::optional<KindWord> kind) {
  const net::AddressSet words = sources_by_words(policy_, rule, host);
  const auto* ends = decided({.rule = &rule, .host = host, .kind = kind});
  return ends == nullptr ? words : words & ends->addresses;
}

bool SiteFacts::lets_internet_in(const Rule& rule, Index host, std::optional<KindWord> kind) {
  if (!is_from_internet(rule, host)) return false;
  const auto* ends = decided({.rule = &rule, .host = host, .kind = kind, .at_large = true});
  return ends == nullptr || holds_much_of_internet(policy_, ends->addresses);
}

net::AddressSet SiteFacts::lets_out(const Rule& rule, Index host, const net::AddressSet& words) {
  const auto* ends = decided({.rule = &rule, .host = host, .kind = {}, .sources = false});
  return ends == nullptr ? words : words & ends->addresses;
}

bool SiteFacts::decides_any_port(const Rule& rule, Index host, bool from_internet) {
  const auto* ends = decided(
      {.rule = &rule, .host = host, .kind = {}, .sources = from_internet, .at_large = true});
  return ends == nullptr ||
         (ends->tcp_ports >= kNearlyAllPorts && holds_much_of_internet(policy_, ends->addresses));
}

bool SiteFacts::names_kind(const Rule& rule, KindWord kind) const {
  return kinds_.at(&rule)[static_cast<std::size_t>(kind)];
}

bool SiteFacts::admits_kind(const Rule& rule, KindWord kind) const {
  return !rule.conditions.services.given || names_kind(rule, kind);
}

const EffectiveRule* SiteFacts::taking(Index host, KindWord kind) {
  const bool may_be_any = kind != KindWord::Database || is_writer(host) || is_replica(host);
  const EffectiveRule* any = nullptr;
  for (const EffectiveRule& each : hosts_[host].inbound) {
    const bool named = names_kind(*each.rule, kind);
    const bool asked = named || (may_be_any && any == nullptr && admits_kind(*each.rule, kind));
    if (!asked || !accepts(*each.rule) || lets_in(*each.rule, host, kind).empty()) continue;
    if (named) return &each;
    any = &each;
  }
  return any;
}

void RuleReporter::report(Code code, const EffectiveRule& rule, Index host, std::string message,
                          std::string hint, std::string_view which) {
  const Span at = facts_.place_of(rule, host);
  if (!said_.emplace(code, rule.rule, at.file, at.line, at.column, which).second) return;
  policy::report(findings_, code, at, std::move(message), std::move(hint)).subject =
      rule.rule->span;
}

void RuleReporter::report_once(Code code, Span span, std::string message, std::string hint) {
  if (!said_.emplace(code, nullptr, span.file, span.line, span.column, "").second) return;
  policy::report(findings_, code, span, std::move(message), std::move(hint));
}

Span default_place(const Policy& policy, const Host& host, Span DefaultsPlaces::* which) {
  for (const Index role : host.roles) {
    const Span& span = policy.files[role].defaults.places.*which;
    if (span.known()) return span;
  }
  return policy.default_places.*which;
}

void lint_weak_points(const Policy& policy, Date date, DecidedPackets* decided,
                      Diagnostics& diagnostics) {
  SiteFacts facts(policy, date, decided);
  lint_exposure(facts, diagnostics);
  lint_availability(facts, diagnostics);
}

}  // namespace rolewall::policy
