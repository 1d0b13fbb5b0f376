#include "policy/rule_ends.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "net/known_addresses.h"
#include "policy/codes.h"
#include "policy/families.h"
#include "policy/selector.h"

namespace rolewall::policy {
namespace {

// Rules from `management`, where that is unset, are left out; where the list names others too,
// it stands for those.
void check_management(Loader& loader, const RuleSource& source, Rule& rule) {
  if (loader.policy.management) return;
  for (const auto& [key, selectors] :
       {std::pair("from", &rule.conditions.from), std::pair("to", &rule.conditions.to)}) {
    bool others = false;
    const Term* management = nullptr;
    for (const Selector& item : selectors->items) {
      const bool unset = item.term.kind == TermKind::Management;
      if (unset && item.negated) {
        report(loader.diagnostics, Code::EmptySelector, item.term.span,
               "`!management` excludes nothing: `management` is not set in [site]",
               "set it in site.toml");
      } else if (unset) {
        management = &item.term;
      }
      others = others || (!unset && !item.negated);
    }
    if (management == nullptr) continue;
    if (!others) rule.left_out = true;
    report(loader.diagnostics, Code::ManagementUnset, source.used_at.value_or(management->span),
           others
               ? fmt::format("`{}` of {}: `management` is not set in [site]", key, rule.full_name)
               : fmt::format("{} is left out: `management` is not set in [site]", rule.full_name),
           "set it in site.toml to the networks that administrators log in from")
        .subject = rule.span;
  }
}

// The DNS names of the selector's network that have no address any more; of `management` those of
// the networks that it lists.
std::vector<std::string> unanswered_of(const Policy& policy, const Selectors& selectors,
                                       bool excluded) {
  std::vector<std::string> names;
  const auto add = [&](const Selectors& list, const auto& self) -> void {
    for (const Selector& item : list.items) {
      if (item.term.kind == TermKind::Management && policy.management) {
        self(*policy.management, self);
      }
      if (item.term.kind != TermKind::Network) continue;
      const Network& network = policy.networks[item.term.index];
      const auto& more =
          item.negated == excluded ? network.unanswered : network.excludes_unanswered;
      names.insert(names.end(), more.begin(), more.end());
    }
  };
  add(selectors, add);
  return names;
}

bool stands_for_nothing(const Policy& policy, const RuleFile& file, const Selectors& selectors) {
  const auto is_empty = [&](Index host) { return addresses_of(policy, selectors, host).empty(); };
  if (file.hosts.empty()) return !names_self(selectors) && is_empty(0);
  return std::ranges::any_of(file.hosts, is_empty);
}

// Without an answer for too long, a name stands for no address (rolewall refresh). What is left
// of a list counts. A rule of which nothing is left is left out; and so is one that would accept
// more because a name that it excludes stands for nothing.
void check_unanswered(Loader& loader, const RuleSource& source, Rule& rule) {
  const Policy& policy = loader.policy;
  if (loader.unanswered.empty()) return;
  for (const auto& [key, selectors] :
       {std::pair("from", &rule.conditions.from), std::pair("to", &rule.conditions.to)}) {
    const std::vector<std::string> excluded = unanswered_of(policy, *selectors, true);
    const std::vector<std::string> lacking = unanswered_of(policy, *selectors, false);
    const bool accepts_more = rule.action == Action::Accept && !excluded.empty();
    const bool is_nothing =
        !lacking.empty() && stands_for_nothing(policy, policy.files[source.file], *selectors);
    if (!accepts_more && !is_nothing) continue;
    rule.left_out = true;
    report(loader.diagnostics, Code::NamesUnanswered, source.used_at.value_or(selectors->span),
           fmt::format("{} is left out: for too long no DNS server has answered for {}{}",
                       rule.full_name, fmt::join(accepts_more ? excluded : lacking, ", "),
                       accepts_more ? ", which it excludes" : ""),
           "look the name up, or mend the policy")
        .subject = rule.span;
  }
}

// A host without an address sends from 0.0.0.0 and "::": written so, mostly all were meant. Who
// means it writes its length.
void report_unspecified(const Term& term, Diagnostics& diagnostics) {
  const bool ipv4 = net::is_ipv4(term.prefix.address);
  report(diagnostics, Code::BadAddress, term.span,
         fmt::format("{} is the address of a host that has none", quote(term.text)),
         fmt::format("every address is `any`, of {} `{}`; that address itself is `{}/{}`",
                     ipv4 ? "IPv4" : "IPv6", ipv4 ? "0.0.0.0/0" : "::/0", term.text,
                     net::address_bits(term.prefix.address)));
}

void check_sources(const Rule& rule, Diagnostics& diagnostics) {
  for (const Selector& item : rule.conditions.to.items) {
    if (is_bare_unspecified(item.term)) report_unspecified(item.term, diagnostics);
  }
  for (const Selector& item : rule.conditions.from.items) {
    const Term& term = item.term;
    if (is_bare_unspecified(term)) report_unspecified(term, diagnostics);
    if (item.negated || term.kind != TermKind::Prefix) continue;
    if (!(net::AddressSet::from({term.prefix}) - net::no_sources()).empty()) continue;
    report(diagnostics, Code::BadAddress, term.span,
           fmt::format("no host sends from {}", quote(term.text)),
           "a multicast group and the broadcast address are destinations");
  }
}

}  // namespace

void check_ends(Loader& loader, const RuleSource& source, Rule& rule) {
  check_management(loader, source, rule);
  check_unanswered(loader, source, rule);
  check_sources(rule, loader.diagnostics);
}

void check_matches_something(Loader& loader, const RuleSource& source, const Rule& rule) {
  if (rule.left_out) return;
  const Policy& policy = loader.policy;
  const std::vector<Index>& hosts = policy.files[source.file].hosts;
  // An empty set was reported already, and is no second error.
  // What a packet must be of IPv4 or of IPv6 for; devices and users are of both.
  const auto& [asked, senders, receivers, in, out, user] = rule.conditions;
  const Families from = families_of(policy, senders, hosts);
  const Families to = families_of(policy, receivers, hosts);
  const Families services = families_of(asked);
  if (rule.translation && !(from & to & services).none()) {
    const Families translated = families_of(*rule.translation);
    if ((from & to & services & translated).none()) {
      report(loader.diagnostics, Code::MatchesNothing, rule.span,
             fmt::format(
                 "{} cannot match: the new address and the translated packets are of different "
                 "address families",
                 rule.full_name));
    }
  }
  if (from.none() || to.none() || !(from & to & services).none()) return;
  std::string why = "its service, `from` and `to` have no address family in common";
  if ((from & to).none()) {
    why = "`from` and `to` have no address family in common";
  } else if ((from & services).none()) {
    why = "its service and `from` have no address family in common";
  } else if ((to & services).none()) {
    why = "its service and `to` have no address family in common";
  }
  report(loader.diagnostics, Code::MatchesNothing, rule.span,
         fmt::format("{} cannot match any packet: {}", rule.full_name, why));
}

}  // namespace rolewall::policy
