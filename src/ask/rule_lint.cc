#include "ask/rule_lint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "analyze/dead_rules.h"
#include "ask/alike.h"
#include "ask/packet_parts.h"
#include "ask/prover.h"
#include "policy/codes.h"
#include "policy/effective.h"

namespace rolewall::ask {
namespace {

using analyze::RuleUse;
using policy::Code;
using policy::Index;

// What all hosts of a rule come to: one of them where it decides is enough.
struct UseOnSite {
  RuleUse use;
  const policy::RuleFile* file = nullptr;
  std::set<Index> hosts;  // one of each kind
};

bool is_said(const Diagnostics& findings, Code code, const Span& at) {
  return std::ranges::any_of(findings.all(), [&](const Diagnostic& finding) {
    return policy::is(finding, code) && finding.span == at;
  });
}

class RuleLint {
 public:
  RuleLint(const policy::Policy& policy, policy::Date date, Site& site, Diagnostics& findings)
      : policy_(policy),
        date_(date),
        findings_(findings),
        alike_(policy, date),
        prover_(policy, site) {}

  void find() {
    std::vector<Index> all(policy_.hosts.size());
    for (Index host = 0; host < all.size(); ++host) all[host] = host;
    std::set<std::tuple<std::size_t, std::string>> seen;
    for (const Index host : all) {
      if (seen.emplace(alike_.kind_of(host), beside(policy_.hosts[host])).second) ask(host);
    }
    for (const policy::Rule* rule : order_) say(uses_.at(rule));
    half_flows();
  }

 private:
  // What kinds of hosts do not tell apart, and rules do.
  static std::string beside(const policy::Host& host) {
    std::string text;
    for (const net::Prefix& prefix : host.virtual_addresses) text += net::format(prefix) + " ";
    return text;
  }

  // Those of the rules that are needed on another host: this one changes no answer about them.
  std::set<const policy::Rule*> settled(const policy::HostPolicy& effective, Index host,
                                        bool& all) {
    std::set<const policy::Rule*> rules;
    all = true;
    for (const auto* list :
         {&effective.inbound, &effective.outbound, &effective.forward, &effective.nat}) {
      for (const policy::EffectiveRule& each : *list) {
        const auto had = uses_.find(each.rule);
        if (had == uses_.end() || !had->second.use.decides || had->second.use.redundant) {
          all = false;
          continue;
        }
        had->second.hosts.insert(host);
        rules.insert(each.rule);
      }
    }
    return rules;
  }

  void ask(Index host) {
    const policy::HostPolicy effective = policy::effective_policy(policy_, host, date_);
    bool all = false;
    const std::set<const policy::Rule*> known = settled(effective, host, all);
    if (all) return;
    const auto uses = analyze::uses_of_rules(policy_, effective, known);
    if (!uses) {
      policy::report(findings_, Code::NotDecided, policy_.hosts[host].span,
                     fmt::format("which rules of {} do nothing was not decided within {}",
                                 policy::quote(policy_.hosts[host].name), uses.error().why));
      for (const auto* list :
           {&effective.inbound, &effective.outbound, &effective.forward, &effective.nat}) {
        for (const policy::EffectiveRule& each : *list) {
          if (!known.contains(each.rule)) open_.insert(each.rule);
        }
      }
      return;
    }
    std::map<const policy::Rule*, const policy::RuleFile*> files;
    for (const auto* list :
         {&effective.inbound, &effective.outbound, &effective.forward, &effective.nat}) {
      for (const policy::EffectiveRule& each : *list) files.emplace(each.rule, each.file);
    }
    for (const RuleUse& use : *uses) add(use, files[use.rule], host);
  }

  void add(const RuleUse& use, const policy::RuleFile* file, Index host) {
    const auto [at, fresh] = uses_.emplace(use.rule, UseOnSite{use, file, {host}});
    if (fresh) {
      order_.push_back(use.rule);
      return;
    }
    at->second.hosts.insert(host);
    RuleUse& had = at->second.use;
    const bool redundant = (!had.decides || had.redundant) && (!use.decides || use.redundant);
    if (use.decides && !had.decides) had = use;
    if (use.is_there && !had.is_there) had = use;
    had.redundant = had.decides && redundant;
  }

  void say(const UseOnSite& on_site) {
    const RuleUse& use = on_site.use;
    const policy::Rule& rule = *use.rule;
    // What a site cannot change is not for it to read.
    if (on_site.file->shipped || open_.contains(&rule)) return;
    if (!use.decides) {
      say_dead(use);
    } else if (use.redundant) {
      policy::report(findings_, Code::RedundantRule, rule.span,
                     fmt::format("{} decides nothing by itself: without it {} would do the same",
                                 rule.full_name, use.instead),
                     "delete it, if it is not there to be read");
    }
  }

  void say_dead(const RuleUse& use) {
    const policy::Rule& rule = *use.rule;
    if (is_said(findings_, Code::UnmetRule, rule.span)) return;
    if (!use.is_there) {
      const bool sends = rule.direction == policy::Direction::Outbound;
      policy::report(
          findings_, Code::UnmetRule, rule.span,
          fmt::format("{} never matches: {}", rule.full_name,
                      sends ? "what its hosts send has other sources, or goes to themselves"
                            : "no such packet comes to its hosts' rules"),
          sends ? "leave out `from`, or use [[forward]] for what a host passes on"
                : "`to` is one of the host's own addresses; what it passes on is for [[forward]]");
      return;
    }
    std::vector<std::string> names;
    for (const analyze::Blocker& blocker : use.blockers) {
      if (std::ranges::find(names, blocker.by) == names.end()) names.push_back(blocker.by);
    }
    const bool built_in = std::ranges::all_of(
        use.blockers, [](const analyze::Blocker& blocker) { return blocker.rule == nullptr; });
    if (built_in) {
      policy::report(findings_, Code::UnmetRule, rule.span,
                     fmt::format("{} never matches: {} decides before it", rule.full_name,
                                 fmt::join(names, ", ")));
      return;
    }
    const bool is_same = use.blockers.size() == 1 && use.blockers.front().same;
    Diagnostic& diagnostic = policy::report(
        findings_, Code::ShadowedRule, rule.span,
        is_same ? fmt::format("{} never matches: {} has the same packets and comes first",
                              rule.full_name, names.front())
                : fmt::format("{} never matches: {} {} all its packets before it", rule.full_name,
                              fmt::join(names, ", "), names.size() == 1 ? "has" : "have together"),
        "delete it, or move it up; `skip` it if a block has it");
    for (const analyze::Blocker& blocker : use.blockers) {
      if (blocker.rule == nullptr) continue;
      std::string left = "without this one an earlier rule would still have them";
      if (blocker.left) {
        const auto sample = sample_of(*blocker.left);
        left = "without this one it would match" + (sample ? " " + to_words(*sample) : "");
      }
      diagnostic.notes.push_back({blocker.rule->span, left});
    }
  }

  // --- flows of which one end alone knows ------------------------------------------------------

  // The site's hosts and nobody else, by name, role or tag.
  bool names_hosts(const policy::Selectors& selectors) const {
    if (!selectors.given || selectors.items.empty()) return false;
    return std::ranges::all_of(selectors.items, [](const policy::Selector& item) {
      const policy::TermKind kind = item.term.kind;
      return item.negated || kind == policy::TermKind::Host || kind == policy::TermKind::Role ||
             kind == policy::TermKind::Tag;
    });
  }

  policy::Selectors of_file(const UseOnSite& on_site) const {
    policy::Selectors selectors;
    selectors.given = true;
    for (const Index host : on_site.hosts) {
      policy::Selector item;
      item.term.kind = policy::TermKind::Host;
      item.term.index = host;
      item.term.text = policy_.hosts[host].name;
      selectors.items.push_back(std::move(item));
    }
    return selectors;
  }

  void half_flows() {
    std::vector<policy::PacketWords> words;
    std::vector<const policy::Rule*> rules;
    for (const policy::Rule* rule : order_) {
      const UseOnSite& on_site = uses_.at(rule);
      const bool sends = rule->direction == policy::Direction::Outbound;
      const bool receives = rule->direction == policy::Direction::Inbound;
      if ((!sends && !receives) || rule->action != policy::Action::Accept) continue;
      if (on_site.file->shipped || !on_site.use.decides || rule->early) continue;
      const policy::Conditions& conditions = rule->conditions;
      const policy::Selectors& other = sends ? conditions.to : conditions.from;
      const policy::Selectors& here = sends ? conditions.from : conditions.to;
      if (!names_hosts(other) || here.given || conditions.user) continue;
      policy::PacketWords& flow = words.emplace_back();
      flow.service = conditions.services;
      (sends ? flow.from : flow.to).selectors = of_file(on_site);
      (sends ? flow.to : flow.from).selectors = other;
      flow.span = rule->span;
      rules.push_back(rule);
    }
    std::vector<Statement> statements;
    for (const policy::PacketWords& flow : words) {
      statements.push_back({Claim::Never, &flow, {}});
    }
    const std::vector<Proof> proofs = prover_.prove(statements);
    for (std::size_t i = 0; i < proofs.size(); ++i) {
      if (proofs[i].outcome != Proof::Outcome::Holds) continue;
      const policy::Rule& rule = *rules[i];
      const bool sends = rule.direction == policy::Direction::Outbound;
      policy::report(
          findings_, Code::HalfFlow, rule.span,
          sends ? fmt::format("{} sends what no host in its `to` admits", rule.full_name)
                : fmt::format("{} admits what no host in its `from` may send", rule.full_name),
          sends ? "add the [[inbound]] rule there, or delete this one"
                : "add the [[outbound]] rule there, or delete this one");
    }
  }

  const policy::Policy& policy_;
  policy::Date date_;
  Diagnostics& findings_;
  Alike alike_;
  Prover prover_;
  std::map<const policy::Rule*, UseOnSite> uses_;
  std::vector<const policy::Rule*> order_;
  std::set<const policy::Rule*> open_;  // the budget ended on one of their hosts
};

}  // namespace

void lint_exactly(const policy::Policy& policy, policy::Date date, Site& site,
                  Diagnostics& findings) {
  RuleLint(policy, date, site, findings).find();
}

}  // namespace rolewall::ask
