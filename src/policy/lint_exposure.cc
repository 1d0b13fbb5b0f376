// Weak points of what can be reached: plain HTTP, services open to the internet, ways out.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "policy/lint.h"
#include "policy/lint_facts.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

// A range of TCP ports so wide that the rest would make no difference.
bool is_any_service(const ServiceList& services) {
  constexpr int kNearlyAll = 60'000;
  return !services.given ||
         std::ranges::any_of(services.literals, [](const ServiceLiteral& literal) {
           return literal.protocol == net::protocol::kTcp && literal.source.is_all() &&
                  literal.destination.last - literal.destination.first >= kNearlyAll;
         });
}

class Exposure {
 public:
  Exposure(SiteFacts& facts, Diagnostics& findings)
      : facts_(facts), policy_(facts.policy()), reporter_(facts, findings) {}

  void check() {
    find_tls_ends();
    if (policy_.collector) outside_ = outside_ - addresses_of(policy_, *policy_.collector, 0);
    for (Index host = 0; host < facts_.host_count(); ++host) {
      host_ = host;
      const HostPolicy& rules = facts_.host(host);
      for (const EffectiveRule& rule : rules.inbound) check_entry(rule);
      for (const EffectiveRule& rule : rules.forward) {
        if (leads_into_site(*rule.rule)) check_entry(rule);
        check_egress(rule);
      }
      for (const EffectiveRule& rule : rules.nat) check_translation_in(rule);
      for (const EffectiveRule& rule : rules.outbound) check_egress(rule);
      check_default_egress(rules);
      check_database(rules);
    }
  }

 private:
  // --- entries ---------------------------------------------------------------------------------

  void find_tls_ends() {
    for (Index host = 0; host < facts_.host_count(); ++host) {
      const HostPolicy& rules = facts_.host(host);
      const auto ends = [&](const EffectiveRule& each) {
        return accepts(*each.rule) && facts_.names_kind(*each.rule, KindWord::TlsWeb) &&
               facts_.is_from_internet(*each.rule, host);
      };
      if (!std::ranges::any_of(rules.inbound, ends) && !std::ranges::any_of(rules.forward, ends)) {
        continue;
      }
      tls_ends_.push_back(host);
      tls_addresses_ = tls_addresses_ | policy_.hosts[host].all_addresses();
    }
  }

  // A [[forward]] rule for what is behind this host, published ports among it; not one that leads
  // out. Only those with a service say what they are for.
  bool leads_into_site(const Rule& rule) const {
    const auto& [services, from, to, in, out, user] = rule.conditions;
    return services.given && to.given &&
           !(addresses_of(policy_, to, host_) - policy_.internet).empty();
  }

  void check_entry(const EffectiveRule& each) {
    const Rule& rule = *each.rule;
    if (!accepts(rule)) return;
    const bool from_internet = facts_.is_from_internet(rule, host_);
    if (from_internet) check_open(each);
    if (!facts_.names_kind(rule, KindWord::PlainWeb) || !rule.redirect_only.empty()) return;
    if (from_internet) {
      reporter_.report(
          Code::PlainFromInternet, each, host_,
          fmt::format("{} takes plain HTTP from the internet", rule.full_name),
          "if it only redirects to HTTPS, say so: redirect-only = \"...\"; else serve TLS");
      return;
    }
    check_behind_tls(each);
  }

  void check_behind_tls(const EffectiveRule& each) {
    const net::AddressSet own = policy_.hosts[host_].all_addresses();
    const net::AddressSet sources = (facts_.sources_of(*each.rule, host_) & tls_addresses_) - own;
    if (sources.empty()) return;
    const auto end = std::ranges::find_if(tls_ends_, [&](Index host) {
      return host != host_ && !(policy_.hosts[host].all_addresses() & sources).empty();
    });
    if (end == tls_ends_.end()) return;
    reporter_.report(Code::PlainBehindTls, each, host_,
                     fmt::format("{} takes plain HTTP from {}, where TLS from the internet ends",
                                 each.rule->full_name, quote(policy_.hosts[*end].name)),
                     "what users sent encrypted goes on in the clear; serve TLS here too");
  }

  void check_open(const EffectiveRule& each) {
    const Rule& rule = *each.rule;
    if (facts_.names_kind(rule, KindWord::Database)) {
      report_kind(each, KindWord::Database, "a database", "name the hosts that use it in `from`");
    }
    if (facts_.names_kind(rule, KindWord::Management)) {
      report_kind(each, KindWord::Management, "a management service",
                  "write from = \"management\"");
    }
    if (!rule.conditions.services.given) {
      report_open(each, "every service", "name the services, or who may use them in `from`");
    }
  }

  // A port says less than a name: whose it may be is told, and how to say that it is another's.
  void report_kind(const EffectiveRule& each, KindWord kind, std::string what, std::string hint) {
    const std::string port = port_of_kind(policy_, each.rule->conditions.services, kind);
    if (!port.empty()) {
      what += fmt::format(" ({})", port);
      hint += "; if another service is meant, write its name";
    }
    report_open(each, what, std::move(hint));
  }

  void report_open(const EffectiveRule& each, std::string_view what, std::string hint) {
    reporter_.report(Code::OpenToInternet, each, host_,
                     fmt::format("{} opens {} to the internet", each.rule->full_name, what),
                     std::move(hint), what);
  }

  // A translation of the destination admits what it translates; the port it leads to counts too.
  void check_translation_in(const EffectiveRule& each) {
    const Rule& rule = *each.rule;
    if (!rule.translation || rule.translation->of_source()) return;
    if (!facts_.is_from_internet(rule, host_)) return;
    if (rule.translation->port) {
      ServiceLiteral behind;
      behind.protocol = net::protocol::kTcp;
      behind.destination = {*rule.translation->port, *rule.translation->port};
      if (meets_kind(policy_, behind, KindWord::Database)) {
        return report_open(each, "a database's port", "name who may use it in `from`");
      }
      if (meets_kind(policy_, behind, KindWord::Management)) {
        return report_open(each, "a management service's port", "write from = \"management\"");
      }
    }
    check_open(each);
  }

  // --- ways out --------------------------------------------------------------------------------

  void check_egress(const EffectiveRule& each) {
    const auto& [services, from, to, in, out, user] = each.rule->conditions;
    if (!accepts(*each.rule) || !is_any_service(services)) return;
    if (!holds_much_of_internet(policy_, addresses_of(policy_, to, host_))) return;
    reporter_.report(Code::UnrestrictedEgress, each, host_,
                     fmt::format("{} accepts any connection to the internet", each.rule->full_name),
                     "name the services, and the networks in `to`");
  }

  void check_default_egress(const HostPolicy& rules) {
    if (rules.defaults.outbound != Action::Accept) return;
    reporter_.report_once(Code::UnrestrictedEgress,
                          default_place(policy_, *rules.host, &DefaultsPlaces::outbound),
                          "the default accepts any connection to the internet",
                          "outbound = \"reject\", and a rule for each thing that a host needs");
  }

  // What asks for a name or the time gives little away, and everybody needs it.
  bool is_connection(const ServiceLiteral& literal) const {
    return net::has_ports(literal.protocol) &&
           !is_within_kind(policy_, literal, KindWord::NameService) &&
           !is_within_kind(policy_, literal, KindWord::TimeService);
  }

  // Once for a rule that means the same on each host.
  bool leads_outside(const Rule& rule) {
    const Selectors& to = rule.conditions.to;
    const auto leads = [&] { return !(addresses_of(policy_, to, host_) & outside_).empty(); };
    if (names_self(to)) return leads();
    const auto [at, fresh] = leads_.emplace(&rule, false);
    if (fresh) at->second = leads();
    return at->second;
  }

  void check_database(const HostPolicy& rules) {
    if (facts_.taking(host_, KindWord::Database) == nullptr) return;
    const std::string host = quote(rules.host->name);
    for (const EffectiveRule& each : rules.outbound) {
      const auto& [services, from, to, in, out, user] = each.rule->conditions;
      if (!accepts(*each.rule)) continue;
      const bool connects =
          !services.given || std::ranges::any_of(services.literals, [&](const auto& literal) {
            return is_connection(literal);
          });
      if (!connects || !leads_outside(*each.rule)) continue;
      reporter_.report(
          Code::DatabaseDialsOut, each, host_,
          fmt::format("{} lets {}, which takes database connections, open connections out of the "
                      "site",
                      each.rule->full_name, host),
          each.file->shipped ? "define the block's networks in site.toml (`mirror`, ...)"
                             : "name addresses of your own in `to`");
    }
    if (rules.defaults.outbound != Action::Accept) return;
    reporter_.report_once(
        Code::DatabaseDialsOut, default_place(policy_, *rules.host, &DefaultsPlaces::outbound),
        fmt::format("the default lets {}, which takes database connections, open connections out "
                    "of the site",
                    host),
        "outbound = \"reject\"");
  }

  SiteFacts& facts_;
  const Policy& policy_;
  RuleReporter reporter_;
  Index host_ = 0;
  std::vector<Index> tls_ends_;
  net::AddressSet tls_addresses_;
  std::map<const Rule*, bool> leads_;
  net::AddressSet outside_ = policy_.internet;  // less the collector
};

}  // namespace

void lint_exposure(SiteFacts& facts, Diagnostics& findings) {
  Exposure(facts, findings).check();
}

}  // namespace rolewall::policy
