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

#include "analyze/site_rules.h"
#include "ask/alike.h"
#include "ask/decided.h"
#include "ask/packet_parts.h"
#include "ask/prover.h"
#include "ask/translated_flow.h"
#include "policy/codes.h"
#include "policy/effective.h"
#include "policy/lint.h"
#include "policy/selector.h"

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

// One of the rules that have its packets does something else with them.
bool does_otherwise(const analyze::Blocker& blocker, const RuleUse& use) {
  return blocker.rule != nullptr && blocker.rule->action != use.rule->action;
}

bool is_contradicted(const RuleUse& use) {
  return std::ranges::any_of(
      use.blockers, [&](const analyze::Blocker& blocker) { return does_otherwise(blocker, use); });
}

class RuleLint {
 public:
  RuleLint(const policy::Policy& policy, policy::Date date, Site& site, const Alike& alike,
           analyze::SiteRules& rules, Diagnostics& findings)
      : policy_(policy),
        date_(date),
        findings_(findings),
        alike_(alike),
        rules_(rules),
        prover_(policy, site) {}

  void find() {
    std::vector<Index> all(policy_.hosts.size());
    for (Index host = 0; host < all.size(); ++host) all[host] = host;
    std::set<std::tuple<std::size_t, std::string>> seen;
    for (const Index host : all) {
      const std::string moving = virtual_addresses_of(policy_.hosts[host]);
      if (seen.emplace(alike_.kind_of(host), moving).second) ask(host);
    }
    for (const policy::Rule* rule : order_) say(uses_.at(rule));
    half_flows();
  }

 private:
  const policy::HostPolicy& effective(Index host) {
    const auto [at, is_new] = effective_.try_emplace(host);
    if (is_new) at->second = policy::effective_policy(policy_, host, date_);
    return at->second;
  }

  template <class Visit>
  static void each_rule(const policy::HostPolicy& host, const Visit& visit) {
    for (const auto* list : {&host.inbound, &host.outbound, &host.forward, &host.nat}) {
      for (const policy::EffectiveRule& each : *list) visit(each);
    }
  }

  // What was told of the host's rules on others. Those that are needed there are settled: this one
  // changes no answer about them.
  analyze::KnownRules known(Index host, bool& all) {
    analyze::KnownRules known;
    all = true;
    std::set<const policy::Rule*> in_force;
    each_rule(effective(host), [&](const auto& each) { in_force.insert(each.rule); });
    // What is said of a rule's packets elsewhere may be said here where the same rules are there.
    const auto is_explained = [&](const RuleUse& use) {
      return use.is_there && std::ranges::all_of(use.blockers, [&](const auto& blocker) {
               return blocker.rule == nullptr || in_force.contains(blocker.rule);
             });
    };
    each_rule(effective(host), [&](const policy::EffectiveRule& each) {
      const auto had = uses_.find(each.rule);
      if (had == uses_.end() || !had->second.use.decides || had->second.use.redundant) {
        all = false;
        if (had != uses_.end() && is_explained(had->second.use)) known.explained.insert(each.rule);
        return;
      }
      had->second.hosts.insert(host);
      known.settled.insert(each.rule);
    });
    return known;
  }

  void ask(Index host) {
    bool all = false;
    const analyze::KnownRules told = known(host, all);
    if (all) return;
    const auto uses = rules_.uses(effective(host), told);
    if (!uses) {
      policy::report(findings_, Code::NotDecided, policy_.hosts[host].span,
                     fmt::format("which rules of {} do nothing was not decided within {}",
                                 policy::quote(policy_.hosts[host].name), uses.error().why));
      each_rule(effective(host), [&](const policy::EffectiveRule& each) {
        if (!told.settled.contains(each.rule)) open_.insert(each.rule);
      });
      return;
    }
    std::map<const policy::Rule*, const policy::RuleFile*> files;
    each_rule(effective(host),
              [&](const policy::EffectiveRule& each) { files.emplace(each.rule, each.file); });
    for (const RuleUse& use : *uses) add(use, files[use.rule], host);
  }

  void add(const RuleUse& use, const policy::RuleFile* file, Index host) {
    const auto [at, fresh] = uses_.emplace(use.rule, UseOnSite{use, file, {host}});
    for (const analyze::Blocker& blocker : use.blockers) behind_[blocker.rule].insert(use.rule);
    if (fresh) {
      order_.push_back(use.rule);
      return;
    }
    at->second.hosts.insert(host);
    RuleUse& had = at->second.use;
    // Of several hosts, one where it is not what somebody believes.
    if (!use.decides && !had.decides && is_contradicted(use) && !is_contradicted(had)) had = use;
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
    } else if (use.redundant && !is_said_of_heir(use)) {
      policy::report(findings_, Code::RedundantRule, rule.span,
                     fmt::format("{} decides nothing by itself: without it {} would do the same",
                                 rule.full_name, use.instead),
                     "delete it, if it is not there to be read");
    }
  }

  // A rule that would do the same is told to have no packets left by this one: one of both may go.
  bool is_said_of_heir(const RuleUse& use) {
    const std::string heirs = ", " + use.instead + ", ";
    return std::ranges::any_of(behind_[use.rule], [&](const policy::Rule* other) {
      return !uses_.at(other).use.decides &&
             heirs.contains(fmt::format(", {}, ", other->full_name));
    });
  }

  // What would let the rule decide something, since only one of the others has some packet of it.
  // A block comes before the role's own rules and an early rule before all others, wherever they
  // stand: past these no rule can be moved.
  std::string hint_of_shadowed(const RuleUse& use, bool is_same) const {
    const policy::Rule& rule = *use.rule;
    const policy::Rule* below = nullptr;
    const policy::Rule* of_block = nullptr;
    const policy::Rule* early = nullptr;
    for (const analyze::Blocker& blocker : use.blockers) {
      if (blocker.rule == nullptr || !blocker.left) continue;
      const policy::Rule& other = *blocker.rule;
      if (other.early && !rule.early) early = &other;
      const auto file = std::ranges::find(policy_.files, other.span.file, &policy::RuleFile::file);
      if (other.span.file == rule.span.file) {
        const bool is_first = below == nullptr || other.span.line < below->span.line;
        if (other.early == rule.early && is_first) below = &other;
      } else if (of_block == nullptr && file != policy_.files.end() && !file->is_role) {
        of_block = &other;
      }
    }
    if (early != nullptr) {
      return fmt::format(
          "delete it, or leave its packets out of {}: `early` comes before all others",
          early->full_name);
    }
    if (below != nullptr && is_same) {
      return is_contradicted(use) ? "delete the one that is not meant" : "delete one of both";
    }
    if (below != nullptr) return fmt::format("delete it, or move it before {}", below->full_name);
    if (of_block != nullptr) {
      return fmt::format("delete it, or `skip` {} in the role: a block's rules come first",
                         of_block->full_name);
    }
    return "delete it";
  }

  // "drops them"; "accepts some of them", where not all that have its packets do so; "": they do
  // the same.
  static std::string words_of_contradiction(const RuleUse& use) {
    std::set<std::string> words;
    bool all = true;
    for (const analyze::Blocker& blocker : use.blockers) {
      const bool other = does_otherwise(blocker, use);
      all = all && other;
      if (other) words.insert(std::string(policy::name_of(blocker.rule->action)) + "s");
    }
    if (words.empty()) return "";
    return fmt::format("{} {}", fmt::join(words, " or "), all ? "them" : "some of them");
  }

  void say_dead(const RuleUse& use) {
    const policy::Rule& rule = *use.rule;
    if (is_said(findings_, Code::UnmetRule, rule.span)) return;
    if (!use.is_there && rule.direction == policy::Direction::Nat) {
      const bool of_source = rule.translation->of_source();
      policy::report(findings_, Code::UnmetRule, rule.span,
                     fmt::format("{} never matches: {}", rule.full_name,
                                 of_source ? "all its packets are denied before they leave"
                                           : "no such packet comes to its hosts"),
                     of_source ? "`new-source` admits nothing: add a [[forward]] rule that accepts "
                                 "what it is to translate, or delete it"
                               : "delete it");
      return;
    }
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
    std::string message =
        is_same ? fmt::format("{} never matches: {} has the same packets and comes first",
                              rule.full_name, names.front())
                : fmt::format("{} never matches: {} {} all its packets before it{}", rule.full_name,
                              fmt::join(names, ", "), names.size() == 1 ? "has" : "have together",
                              use.fewest ? "" : " (perhaps fewer do)");
    const std::string otherwise = words_of_contradiction(use);
    if (!otherwise.empty()) message += ", and " + otherwise;
    const Code code = otherwise.empty() ? Code::ShadowedRule : Code::ContradictedRule;
    Diagnostic& diagnostic = policy::report(findings_, code, rule.span, std::move(message),
                                            hint_of_shadowed(use, is_same));
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

  using Groups = std::vector<std::vector<Index>>;

  // The hosts that the words name, by what they are alike in. Many rules have the same words.
  const Groups& groups_of(const policy::Selectors& selectors, Index asker) {
    std::vector<std::tuple<bool, policy::TermKind, std::string>> words;
    for (const policy::Selector& item : selectors.items) {
      words.emplace_back(item.negated, item.term.kind, item.term.text);
    }
    if (policy::names_self(selectors)) {
      words.emplace_back(false, policy::TermKind::Host, policy_.hosts[asker].name);
    }
    const auto [at, is_new] = groups_.try_emplace(std::move(words));
    if (!is_new) return at->second;
    const net::AddressSet set = policy::addresses_of(policy_, selectors, asker);
    std::vector<Index> hosts;
    for (Index host = 0; host < policy_.hosts.size(); ++host) {
      const bool is_meant = !(policy_.hosts[host].all_addresses() & set).empty();
      if (is_meant) hosts.push_back(host);
    }
    at->second = alike_.groups(hosts);
    return at->second;
  }

  // Of the hosts that the words name, one of each kind: another than asks, where there is one.
  std::vector<Index> named(const policy::Selectors& selectors, const std::set<Index>& askers) {
    std::vector<Index> few;
    for (const auto& group : groups_of(selectors, *askers.begin())) {
      const auto other =
          std::ranges::find_if_not(group, [&](const Index host) { return askers.contains(host); });
      few.push_back(other == group.end() ? group.front() : *other);
    }
    return few;
  }

  struct HalfFlow {
    const policy::Rule* rule = nullptr;
    bool sends = false;
    std::vector<Index> senders;
    std::vector<Index> receivers;
  };

  std::optional<HalfFlow> flow_of(const policy::Rule& rule) {
    const UseOnSite& on_site = uses_.at(&rule);
    const bool sends = rule.direction == policy::Direction::Outbound;
    const bool receives = rule.direction == policy::Direction::Inbound;
    if ((!sends && !receives) || rule.action != policy::Action::Accept) return std::nullopt;
    if (on_site.file->shipped || !on_site.use.decides || rule.early) return std::nullopt;
    const policy::Conditions& conditions = rule.conditions;
    const policy::Selectors& other = sends ? conditions.to : conditions.from;
    const policy::Selectors& here = sends ? conditions.from : conditions.to;
    if (!names_hosts(other) || here.given || conditions.user) return std::nullopt;
    const std::vector<Index> own(on_site.hosts.begin(), on_site.hosts.end());
    const std::vector<Index> others = named(other, on_site.hosts);
    return HalfFlow{&rule, sends, sends ? own : others, sends ? others : own};
  }

  // Absent: it was not decided.
  std::optional<bool> passes(const HalfFlow& flow) {
    std::vector<const policy::HostPolicy*> senders;
    std::vector<const policy::HostPolicy*> receivers;
    bool translates = false;
    const auto add = [&](Index host, std::vector<const policy::HostPolicy*>& to) {
      to.push_back(&effective(host));
      translates = translates || !to.back()->nat.empty();
    };
    for (const Index host : flow.senders) add(host, senders);
    for (const Index host : flow.receivers) add(host, receivers);
    // What a host sends to itself is between no two ends.
    const bool two = std::ranges::any_of(flow.senders, [&](const Index sender) {
      return std::ranges::any_of(flow.receivers,
                                 [&](const Index receiver) { return receiver != sender; });
    });
    if (!two) return true;
    if (translates) return passes_translated(flow);
    const auto passes = rules_.passes({flow.rule->conditions.services, senders, receivers});
    return passes ? std::optional(*passes) : std::nullopt;
  }

  // As the ruleset has it, which the prover reads: a translation is no function of one packet.
  std::optional<bool> passes_translated(const HalfFlow& flow) {
    policy::PacketWords words;
    words.service = flow.rule->conditions.services;
    words.from.selectors = selectors_of(flow.senders);
    words.to.selectors = selectors_of(flow.receivers);
    words.span = flow.rule->span;
    const Statement statement{Claim::Never, &words, {}};
    switch (prover_.prove({&statement, 1}).front().outcome) {
      case Proof::Outcome::Holds:
        return false;
      case Proof::Outcome::Broken:
      case Proof::Outcome::NotAsked:
        return true;
      case Proof::Outcome::NotProven:
        break;
    }
    return std::nullopt;
  }

  bool may_be_translated(const HalfFlow& flow) {
    if (!translating_) {
      translating_.emplace();
      for (Index host = 0; host < policy_.hosts.size(); ++host) {
        if (!effective(host).nat.empty()) translating_->push_back(&effective(host));
      }
    }
    const auto all = [&](const std::vector<Index>& hosts) {
      std::vector<const policy::HostPolicy*> rules;
      for (const Index host : hosts) rules.push_back(&effective(host));
      return rules;
    };
    const auto senders = all(flow.senders);
    const auto receivers = all(flow.receivers);
    return may_pass_translated(policy_, *translating_,
                               {flow.rule->conditions.services, senders, receivers});
  }

  policy::Selectors selectors_of(const std::vector<Index>& hosts) const {
    policy::Selectors selectors;
    selectors.given = true;
    for (const Index host : hosts) {
      policy::Selector item;
      item.term.kind = policy::TermKind::Host;
      item.term.index = host;
      item.term.text = policy_.hosts[host].name;
      selectors.items.push_back(std::move(item));
    }
    return selectors;
  }

  void half_flows() {
    std::vector<HalfFlow> flows;
    for (const policy::Rule* rule : order_) {
      if (auto flow = flow_of(*rule)) flows.push_back(std::move(*flow));
    }
    // What the same hosts take is asked together, while it is there.
    std::ranges::stable_sort(flows, {}, &HalfFlow::receivers);
    for (const HalfFlow& flow : flows) {
      const policy::Rule* rule = flow.rule;
      const auto passing = passes(flow);
      if (passing && (*passing || may_be_translated(flow))) continue;
      if (!passing) {
        policy::report(
            findings_, Code::NotDecided, rule->span,
            fmt::format("whether both ends of {} agree was not decided", rule->full_name));
        continue;
      }
      policy::report(
          findings_, Code::HalfFlow, rule->span,
          flow.sends
              ? fmt::format("{} sends what no host in its `to` admits", rule->full_name)
              : fmt::format("{} admits what no host in its `from` may send", rule->full_name),
          flow.sends ? "add the [[inbound]] rule there, or delete this one"
                     : "add the [[outbound]] rule there, or delete this one");
    }
  }

  const policy::Policy& policy_;
  policy::Date date_;
  Diagnostics& findings_;
  const Alike& alike_;
  analyze::SiteRules& rules_;
  Prover prover_;
  std::map<Index, policy::HostPolicy> effective_;
  std::optional<std::vector<const policy::HostPolicy*>> translating_;  // those with [[nat]] rules
  std::map<const policy::Rule*, UseOnSite> uses_;
  std::map<std::vector<std::tuple<bool, policy::TermKind, std::string>>, Groups> groups_;
  std::map<const policy::Rule*, std::set<const policy::Rule*>> behind_;  // on some host
  std::vector<const policy::Rule*> order_;
  std::set<const policy::Rule*> open_;  // the budget ended on one of their hosts
};

}  // namespace

void lint_exactly(const policy::Policy& policy, policy::Date date, Site& site,
                  Diagnostics& findings) {
  const Alike alike(policy, date);
  analyze::SiteRules rules(policy);
  RuleLint(policy, date, site, alike, rules, findings).find();
}

void lint(const policy::Policy& policy, policy::Date date, Site& site, Diagnostics& findings) {
  const Alike alike(policy, date);
  analyze::SiteRules rules(policy);
  Decided decided(policy, date, alike, rules);
  policy::lint(policy, date, findings, &decided);
  RuleLint(policy, date, site, alike, rules, findings).find();
}

}  // namespace rolewall::ask
