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
  return !services.given ||
         std::ranges::any_of(services.literals, [](const ServiceLiteral& literal) {
           return literal.protocol == net::protocol::kTcp && literal.source.is_all() &&
                  std::uint32_t{literal.destination.last} - literal.destination.first >=
                      kNearlyAllPorts;
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
        if (leads_into_site(rule)) check_entry(rule);
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
        return accepts(*each.rule) && facts_.admits_kind(*each.rule, KindWord::TlsWeb) &&
               facts_.lets_internet_in(*each.rule, host, KindWord::TlsWeb);
      };
      // A published port is the host's own, behind it may be a container.
      const auto published = [&](const EffectiveRule& each) {
        const Selectors& to = each.rule->conditions.to;
        return to.given && ends(each) &&
               !(addresses_of(policy_, to, host) & policy_.hosts[host].all_addresses()).empty();
      };
      if (!std::ranges::any_of(rules.inbound, ends) &&
          !std::ranges::any_of(rules.forward, published)) {
        continue;
      }
      tls_ends_.push_back(host);
      tls_addresses_ = tls_addresses_ | policy_.hosts[host].all_addresses();
    }
  }

  // A [[forward]] rule for what is behind this host, published ports among it; not one that leads
  // out.
  bool leads_into_site(const EffectiveRule& each) const {
    const Rule& rule = *each.rule;
    const auto& [services, from, to, in, out, user] = rule.conditions;
    if (to.given) {
      const net::AddressSet there = addresses_of(policy_, to, host_);
      if (!(there - policy_.internet).empty()) return true;
      return !holds_much_of_internet(policy_, there) &&
             !(there - internet_at_large(policy_)).empty();
    }
    if (!out.empty() && are_known(out)) return leads_inside(out);
    // By an interface of which nobody says what is behind it, it may as well lead out.
    if (!out.empty()) return (sources_by_words(policy_, rule, host_) - policy_.internet).empty();
    if (from.given || are_known(in)) return true;
    // A shipped block's interface is one of containers or guests.
    return !each.file->shipped && has_outer_side() && leads_inside(other_interfaces(in));
  }

  // Whether it has an address elsewhere than behind the interfaces of which it is said.
  bool has_outer_side() const {
    net::AddressSet outside = policy_.hosts[host_].all_addresses();
    for (const HostInterface& each : policy_.hosts[host_].interfaces) {
      if (each.behind) outside = outside - *each.behind;
    }
    return !outside.empty();
  }

  std::vector<std::string> other_interfaces(const std::vector<std::string>& names) const {
    std::vector<std::string> others;
    for (const HostInterface& each : policy_.hosts[host_].interfaces) {
      if (std::ranges::find(names, each.name) == names.end()) others.push_back(each.name);
    }
    return others;
  }

  // Of a rule's interfaces on this host: whether all say what is behind them.
  bool are_known(const std::vector<std::string>& names) const {
    return std::ranges::all_of(policy_.hosts[host_].interfaces, [&](const HostInterface& each) {
      return each.behind || std::ranges::find(names, each.name) == names.end();
    });
  }
  bool leads_inside(const std::vector<std::string>& names) const {
    return std::ranges::any_of(policy_.hosts[host_].interfaces, [&](const HostInterface& each) {
      return std::ranges::find(names, each.name) != names.end() && each.behind &&
             !(*each.behind - policy_.internet).empty();
    });
  }

  void check_entry(const EffectiveRule& each) {
    const Rule& rule = *each.rule;
    if (!accepts(rule)) return;
    if (facts_.is_from_internet(rule, host_)) check_open(each);
    if (!facts_.admits_kind(rule, KindWord::PlainWeb) || !rule.redirect_only.empty()) return;
    if (facts_.lets_internet_in(rule, host_, KindWord::PlainWeb)) {
      // Of a rule for every service it is told that it opens them.
      if (rule.conditions.services.given && !is_for_hosts(rule)) report_plain(each);
      return;
    }
    check_behind_tls(each);
  }

  // What is passed on to hosts of the site their own rules tell of.
  bool is_for_hosts(const Rule& rule) const {
    const Selectors& to = rule.conditions.to;
    if (rule.direction != Direction::Forward || !to.given) return false;
    const net::AddressSet there = addresses_of(policy_, to, host_);
    // A published port, written to this host, is nobody else's.
    const bool is_own = !(there & policy_.hosts[host_].all_addresses()).empty();
    return !is_own && (there - policy_.site_addresses).empty();
  }

  void report_plain(const EffectiveRule& each) {
    const bool is_inbound = each.rule->direction == Direction::Inbound;
    reporter_.report(
        Code::PlainFromInternet, each, host_,
        fmt::format("{} takes plain HTTP from the internet", each.rule->full_name),
        is_inbound
            ? "if it only redirects to HTTPS, say so: redirect-only = \"...\"; else serve TLS"
            : "serve TLS there; if it only redirects to HTTPS, say so: "
              "allow-finding = { plain-from-internet = \"...\" }");
  }

  void check_behind_tls(const EffectiveRule& each) {
    const net::AddressSet own = policy_.hosts[host_].all_addresses();
    net::AddressSet sources = (sources_by_words(policy_, *each.rule, host_) & tls_addresses_) - own;
    if (sources.empty()) return;
    sources = sources & facts_.lets_in(*each.rule, host_, KindWord::PlainWeb);
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
    const bool is_any = !rule.conditions.services.given;
    if (is_any && facts_.decides_any_port(rule, host_, true)) {
      return report_open(each, "every service", "name the services, or who may use them in `from`");
    }
    const auto opens = [&](KindWord kind) {
      return (is_any || facts_.names_kind(rule, kind)) &&
             facts_.lets_internet_in(rule, host_, kind);
    };
    if (opens(KindWord::Database)) {
      report_kind(each, KindWord::Database, "a database", "name the hosts that use it in `from`");
    }
    if (opens(KindWord::Management)) {
      report_kind(each, KindWord::Management, "a management service",
                  "write from = \"management\"");
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
    if (!facts_.lets_internet_in(rule, host_, {})) return;
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
    const bool is_for_hosts = std::ranges::any_of(
        rule.translation->addresses,
        [&](const net::Address& address) { return policy_.site_addresses.contains(address); });
    if (!is_for_hosts && rule.translation->kind == Translation::Kind::Destination &&
        facts_.names_kind(rule, KindWord::PlainWeb) &&
        facts_.lets_internet_in(rule, host_, KindWord::PlainWeb)) {
      report_plain(each);
    }
  }

  // --- ways out --------------------------------------------------------------------------------

  void check_egress(const EffectiveRule& each) {
    const auto& [services, from, to, in, out, user] = each.rule->conditions;
    if (!accepts(*each.rule) || !is_any_service(services)) return;
    if (!holds_much_of_internet(policy_, destinations_by_words(policy_, *each.rule, host_))) return;
    if (!facts_.decides_any_port(*each.rule, host_, false)) return;
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
    const auto leads = [&] {
      return !(destinations_by_words(policy_, rule, host_) & outside_).empty();
    };
    if (names_self(rule.conditions.to) || !rule.conditions.out.empty()) return leads();
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
      if (facts_.lets_out(*each.rule, host_, outside_).empty()) continue;
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
