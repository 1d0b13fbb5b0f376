// Weak points of what fails or falls together: single hosts, writers and replicas, everything on
// one host, the way to the collector; and what [site] should declare for them to be seen.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/lint_facts.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

// A prefix of like hosts (autoscaling).
bool is_pool(const Host& host) {
  return std::any_of(host.addresses.begin(), host.addresses.end(), [](const net::Prefix& prefix) {
    return prefix.length < net::address_bits(prefix.address);
  });
}

class Availability {
 public:
  Availability(SiteFacts& facts, Diagnostics& findings)
      : facts_(facts), policy_(facts.policy()), findings_(findings), reporter_(facts, findings) {}

  void check() {
    find_copies();
    if (policy_.hosts.size() > 1) {  // else there is nothing to fail over to
      check_roles();
      check_tags();
      check_virtual_addresses();
    }
    check_writers();
    for (Index host = 0; host < facts_.host_count(); ++host) {
      check_tiers(host);
      check_replica(host);
      check_collector(host);
      ask_for_collector(host);
      ask_for_database(host);
    }
  }

 private:
  // --- single hosts ----------------------------------------------------------------------------

  void report_single(Span span, Span subject, std::string message) {
    report(findings_, Code::SingleHost, span, std::move(message),
           "a second host takes over when it fails")
        .subject = subject;
  }

  void check_roles() {
    for (const RuleFile& file : policy_.files) {
      if (!file.is_role || file.hosts.size() != 1) continue;
      const Host& host = policy_.hosts[file.hosts[0]];
      if (is_pool(host)) continue;
      report_single(
          host.span, file.span,
          fmt::format("{} is the only host of the role {}", quote(host.name), quote(file.name)));
    }
  }

  // It can move to another host, but somebody has to move it. Of a database's only writer
  // single-writer speaks.
  void check_tags() {
    std::set<Index> wanted;
    for (const RuleFile& file : policy_.files) {
      for (const Rule& rule : file.rules) {
        for (const Selector& item : rule.conditions.to.items) {
          if (!item.negated && item.term.kind == TermKind::Tag) wanted.insert(item.term.index);
        }
      }
    }
    for (const Index index : wanted) {
      const Tag& tag = policy_.tags[index];
      if (tag.hosts.size() != 1 || is_pool(policy_.hosts[tag.hosts[0]])) continue;
      if (writers_ == tag.hosts) continue;
      const Host& host = policy_.hosts[tag.hosts[0]];
      report_single(tag.span, host.span,
                    fmt::format("rules send to {}, a tag that only {} has", quote(tag.name),
                                quote(host.name)));
    }
  }

  // keepalived gives such an address to one host at a time: to which other?
  void check_virtual_addresses() {
    std::map<std::string, std::vector<Index>> bearers;
    for (Index host = 0; host < policy_.hosts.size(); ++host) {
      for (const net::Prefix& prefix : policy_.hosts[host].virtual_addresses) {
        bearers[net::format(prefix)].push_back(host);
      }
    }
    std::set<Index> said;
    for (const auto& [address, hosts] : bearers) {
      if (hosts.size() != 1 || !said.insert(hosts[0]).second) continue;
      const Host& host = policy_.hosts[hosts[0]];
      report_single(host.span, host.span,
                    fmt::format("{} is the only host with the virtual address {}", quote(host.name),
                                address));
    }
  }

  // --- databases -------------------------------------------------------------------------------

  void find_copies() {
    if (policy_.collector) collector_ = addresses_of(policy_, *policy_.collector, 0);
    for (Index host = 0; host < policy_.hosts.size(); ++host) {
      if (facts_.is_writer(host)) writers_.push_back(host);
    }
  }

  void check_writers() {
    if (writers_.size() != 1 || is_pool(policy_.hosts[writers_[0]])) return;
    const Host& host = policy_.hosts[writers_[0]];
    report(findings_, Code::SingleWriter, policy_.writers->span,
           fmt::format("{} alone takes the database's writes", quote(host.name)),
           "when it fails nothing is written until another host takes over")
        .subject = host.span;
  }

  void check_replica(Index host) {
    if (!facts_.is_replica(host) || facts_.is_writer(host)) return;
    const net::AddressSet copies = facts_.copies();
    for (const EffectiveRule& each : facts_.host(host).inbound) {
      if (!accepts(*each.rule) || !facts_.admits_kind(*each.rule, KindWord::Database)) continue;
      if ((facts_.lets_in(*each.rule, host, KindWord::Database) - copies).empty()) continue;
      reporter_.report(
          Code::WritableReplica, each, host,
          fmt::format("{} lets others than `writers` and `replicas` connect to the database of {}, "
                      "a replica",
                      each.rule->full_name, quote(policy_.hosts[host].name)),
          "a connection that reads may write as well: leave the rule out on replicas (`on`)");
    }
  }

  void check_tiers(Index host) {
    const EffectiveRule* database = facts_.taking(host, KindWord::Database);
    const EffectiveRule* web = facts_.taking(host, KindWord::TlsWeb);
    if (web == nullptr) web = facts_.taking(host, KindWord::PlainWeb);
    if (database == nullptr || web == nullptr) return;
    // A rule for every service says that it may be so.
    const bool are_named =
        web->rule->conditions.services.given && database->rule->conditions.services.given;
    report(findings_, Code::TiersOnOneHost, policy_.hosts[host].span,
           fmt::format("{} {} web ({}), application and database ({}) together",
                       quote(policy_.hosts[host].name), are_named ? "carries" : "may carry",
                       web->rule->full_name, database->rule->full_name),
           "whoever breaks into the web server has the data as well");
  }

  // --- the collector ---------------------------------------------------------------------------

  bool may_ship(const Rule& rule) const {
    const ServiceList& services = rule.conditions.services;
    return !services.given || facts_.names_kind(rule, KindWord::Agent) ||
           std::ranges::any_of(services.literals, [&](const ServiceLiteral& literal) {
             return meets_kind(policy_, literal, KindWord::Agent) ||
                    meets_kind(policy_, literal, KindWord::TlsWeb);
           });
  }

  // Once for a rule that means the same on each host: there may be thousands.
  bool leads_to_collector(const Rule& rule, Index host) {
    const Selectors& to = rule.conditions.to;
    const auto leads = [&] { return !(addresses_of(policy_, to, host) & collector_).empty(); };
    if (names_self(to)) return leads();
    const auto [at, fresh] = leads_.emplace(&rule, false);
    if (fresh) at->second = leads();
    return at->second;
  }

  void check_collector(Index index) {
    if (!policy_.collector) return;
    const HostPolicy& rules = facts_.host(index);
    const net::AddressSet own = policy_.hosts[index].all_addresses();
    if (!(collector_ & own).empty() || rules.defaults.outbound == Action::Accept) return;
    const bool ships = std::ranges::any_of(rules.outbound, [&](const EffectiveRule& each) {
      return accepts(*each.rule) && may_ship(*each.rule) && leads_to_collector(*each.rule, index) &&
             !facts_.lets_out(*each.rule, index, collector_).empty();
    });
    if (ships) return;
    report(findings_, Code::NoWayToCollector, rules.host->span,
           fmt::format("{} may not send to the collector", quote(rules.host->name)),
           "an [[outbound]] rule for the agent's service, or use = [\"monitoring-agent\"]");
  }

  // --- what is not declared ----------------------------------------------------------------------

  void ask(std::string_view word, const EffectiveRule& rule, Index host, std::string_view what) {
    if (!asked_.insert(word).second) return;
    reporter_.report(
        Code::Undeclared, rule, host,
        fmt::format("{} is for {}, and [site] does not say `{}`", rule.rule->full_name, what, word),
        fmt::format("set `{}` in site.toml", word));
  }

  void ask_for_collector(Index host) {
    if (policy_.collector) return;
    const HostPolicy& rules = facts_.host(host);
    for (const auto* list : {&rules.inbound, &rules.outbound}) {
      for (const EffectiveRule& each : *list) {
        if (!accepts(*each.rule) || !facts_.names_kind(*each.rule, KindWord::Agent)) continue;
        ask("collector", each, host, "an agent");
        return;
      }
    }
  }

  void ask_for_database(Index host) {
    const EffectiveRule* taking = facts_.taking(host, KindWord::Database);
    if (taking == nullptr) return;
    if (!policy_.writers) return ask("writers", *taking, host, "a database");
    if (facts_.is_writer(host) || facts_.is_replica(host)) return;
    if (!policy_.replicas) return ask("replicas", *taking, host, "a database that takes no writes");
    report(findings_, Code::Undeclared, policy_.hosts[host].span,
           fmt::format("{} takes database connections, and is neither in `writers` nor in "
                       "`replicas`",
                       quote(policy_.hosts[host].name)),
           "add it to one of them in site.toml");
  }

  SiteFacts& facts_;
  const Policy& policy_;
  Diagnostics& findings_;
  RuleReporter reporter_;
  net::AddressSet collector_;
  std::map<const Rule*, bool> leads_;
  std::vector<Index> writers_;  // hosts
  std::set<std::string_view> asked_;
};

}  // namespace

void lint_availability(SiteFacts& facts, Diagnostics& findings) {
  Availability(facts, findings).check();
}

}  // namespace rolewall::policy
