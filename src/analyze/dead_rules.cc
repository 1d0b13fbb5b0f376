#include "analyze/dead_rules.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "analyze/first_match.h"
#include "analyze/host_lists.h"
#include "analyze/site_rules.h"
#include "analyze/witness.h"
#include "net/protocol.h"
#include "ruleset/host.h"
#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

using Steps = HostLists::Steps;

class Uses {
 public:
  Uses(RuleSpace& space, const policy::Policy& policy, HostRules& host, const KnownRules& known)
      : policy_(policy),
        known_(known),
        host_(host.policy),
        meanings_(space.meanings),
        d_(space.diagrams),
        space_(space.packets),
        denotation_(*host.denotation),
        lists_(space, host),
        made_(host.lists) {}

  std::vector<RuleUse> find() {
    early();
    for (const policy::Direction way :
         {policy::Direction::Inbound, policy::Direction::Outbound, policy::Direction::Forward}) {
      judged(way);
    }
    destinations_translated();
    sources_translated();
    std::vector<RuleUse> all;
    for (const policy::Rule* rule : order_) all.push_back(std::move(uses_.at(rule)));
    return all;
  }

  std::vector<AcceptedInVain> in_vain(const DeniedPackets& denied) {
    std::vector<AcceptedInVain> all;
    for (const policy::Direction way :
         {policy::Direction::Inbound, policy::Direction::Outbound, policy::Direction::Forward}) {
      if (host_.rules(way).empty()) continue;
      const bool sends = way == policy::Direction::Outbound;
      Diagram realm = sends ? lists_.sent() : lists_.arriving();
      if (!sends) realm = d_.both(realm, by_device_of(denied.machine, Part::InDevice));
      if (way != policy::Direction::Inbound) {
        realm = d_.both(realm, by_device_of(denied.machine, Part::OutDevice));
      } else {
        realm = d_.both(realm, denotation_.to(host_.host->all_addresses()));
      }
      Steps steps = denotation_.steps(way, nullptr);
      if (!sends) steps = lists_.after_early(std::move(steps));
      FirstMatch first = lists_.first_of(steps, realm);
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i].rule == nullptr || steps[i].rule->action != policy::Action::Accept) continue;
        const Diagrams::Passing passing(d_);
        add_in_vain(all, *steps[i].rule, first, i, sends ? denied.sent : denied.arriving);
      }
    }
    return all;
  }

 private:
  // By one that the machine has, and not over the loopback; by any, where none is known.
  Diagram by_device_of(const ruleset::Host& machine, Part part) {
    std::vector<Diagram> all;
    for (const ruleset::Interface& interface : machine.interfaces) {
      if (interface.device != "lo") all.push_back(denotation_.by(part, interface.device));
    }
    return all.empty() ? d_.complement(lists_.is_local(part)) : d_.union_of(std::move(all));
  }

  void add_in_vain(std::vector<AcceptedInVain>& all, const policy::Rule& rule, FirstMatch& first,
                   std::size_t at, const Denied& wrong) {
    const bool sends = rule.direction == policy::Direction::Outbound;
    const Direction direction = sends ? Direction::Send : Direction::Arrive;
    const Diagram passes = d_.complement(wrong.lost);
    const auto is_lost = [&](Diagram of) {
      return first.decides(at, d_.both(of, wrong.by_rule)) &&
             !first.decides(at, d_.both(of, passes));
    };
    const std::array families{std::pair("", kEverything), std::pair("IPv4", space_.is_ipv4()),
                              std::pair("IPv6", space_.is_ipv6())};
    for (const auto& [family, of] : families) {
      if (!is_lost(of)) continue;
      const Diagram found = d_.both(first.left(at), d_.both(of, wrong.by_rule));
      const Natural natural = natural_of(rule);
      const auto witness = witness_of(d_, space_, described_, direction, found, &natural);
      if (witness) all.push_back({&rule, family, direction, witness->packet});
      return;
    }
  }

  void early() {
    if (lists_.early_steps().empty()) return;
    const Diagram forged = d_.minus(lists_.own(true), lists_.is_local(Part::InDevice));
    ask(lists_.early_steps(), d_.minus(space_.packets(), forged), Direction::Arrive, false);
  }

  void ask_after_early(const Steps& steps, Diagram realm, bool ends) {
    ask(lists_.after_early(steps), realm, Direction::Arrive, ends, lists_.early_steps().size());
  }

  void judged(policy::Direction way) {
    if (host_.rules(way).empty()) return;
    const bool sends = way == policy::Direction::Outbound;
    for (const Denotation::Translating by : lists_.translating(way)) {
      // What was asked of the list before has made it.
      const auto known = made_.find({way, by});
      std::optional<RuleList> fresh;
      if (known == made_.end()) fresh.emplace(lists_.list_of(way, by));
      ask(fresh ? *fresh : known->second, sends ? Direction::Send : Direction::Arrive, true,
          sends ? 0 : lists_.early_steps().size());
    }
  }

  void destinations_translated() {
    const Steps steps = denotation_.translations(false, Direction::Arrive);
    if (!steps.empty()) ask_after_early(steps, lists_.translatable(lists_.arriving(true)), false);
  }

  // Of what leaves: what was denied before has no source to be translated.
  void sources_translated() {
    for (const auto& [way, direction] : {std::pair(policy::Direction::Forward, Direction::Arrive),
                                         std::pair(policy::Direction::Outbound, Direction::Send)}) {
      const Steps steps = denotation_.translations(true, direction);
      if (steps.empty()) continue;
      std::vector<Diagram> leaving;
      for (const Denotation::Translating by : lists_.translating(way)) {
        Steps before = denotation_.steps(way, by);
        if (direction == Direction::Arrive) before = lists_.after_early(std::move(before));
        leaving.push_back(
            d_.both(lists_.translatable(lists_.realm_of(way, by)), denotation_.accepted(before)));
      }
      ask(steps, d_.union_of(std::move(leaving)), direction, false);
    }
  }

  RuleUse& use_of(const policy::Rule& rule) {
    const auto [at, fresh] = uses_.emplace(&rule, RuleUse{});
    if (fresh) {
      at->second.rule = &rule;
      order_.push_back(&rule);
    }
    return at->second;
  }

  bool is_asked(const Denotation::Step& step) const {
    return step.rule != nullptr && !known_.settled.contains(step.rule);
  }

  // About the steps from `begin` on. `ends`: what they decide becomes of the packet.
  void ask(const Steps& steps, Diagram realm, Direction direction, bool ends,
           std::size_t begin = 0) {
    RuleList list{steps, lists_.first_of(steps, realm)};
    ask(list, direction, ends, begin);
  }

  void ask(RuleList& list, Direction direction, bool ends, std::size_t begin) {
    const Steps& steps = list.steps;
    FirstMatch& first = list.first;
    std::vector<Diagram> fates;
    for (const Denotation::Step& step : steps)
      fates.push_back(ends ? fate_of(step.then) : kNothing);
    for (std::size_t i = begin; i < steps.size(); ++i) {
      if (is_asked(steps[i])) {
        const Diagrams::Passing passing(d_);
        const policy::Rule* rule = steps[i].rule;
        RuleUse& use = use_of(*rule);
        const bool decided = use.decides;
        if (first.decides(i)) {
          use.decides = use.is_there = true;
          const bool same =
              ends && does_alone_decide(*rule) && is_same(first, steps, fates, i, use.instead);
          use.redundant = same && (use.redundant || !decided);
        } else if (!use.decides && use.blockers.empty() && first.is_there(i)) {
          use.is_there = true;
          if (!known_.explained.contains(rule)) {
            add_blockers(use, first, steps, i, direction);
          }
        }
      }
    }
  }

  // Beside its verdict it has no effect that is missed without it.
  static bool does_alone_decide(const policy::Rule& rule) {
    return !rule.log && !rule.limit && !rule.connections && rule.helper == nullptr &&
           !rule.segment_size && !rule.expires;
  }

  // Whether a packet that comes to the step instead is missed nowhere: no line of the log is there
  // that was not, and nothing of a limit is used up that others have need of.
  bool does_no_more(const Denotation::Step& step, policy::Direction way) const {
    if (step.rule != nullptr) return does_alone_decide(*step.rule);
    // What the defaults deny is logged.
    const policy::Defaults& defaults = host_.defaults;
    const policy::Action by_default = way == policy::Direction::Outbound  ? defaults.outbound
                                      : way == policy::Direction::Forward ? defaults.forward
                                                                          : defaults.inbound;
    return by_default == policy::Action::Accept;
  }

  // What becomes of packets, whoever decides.
  Diagram fate_of(Diagram then) {
    return d_.map(then, [&](std::uint32_t value) {
      if (value < Meanings::kFirst) return terminal(value);
      Meaning plain = meanings_.of(value);
      plain.by.clear();
      return meanings_.terminal_of(plain);
    });
  }

  // Whether the same would become of all that the step decides about, without it.
  bool is_same(FirstMatch& first, const Steps& steps, const std::vector<Diagram>& fates,
               std::size_t at, std::string& instead) {
    const policy::Direction way = steps[at].rule->direction;
    const auto heirs = first.heirs(at, [&](std::size_t later) {
      if (!does_no_more(steps[later], way)) return kNothing;
      if (fates[later] == fates[at]) return kEverything;
      return d_.complement(d_.differ(fates[at], fates[later]));
    });
    if (!heirs) return false;
    instead.clear();
    for (const std::size_t later : *heirs) {
      const std::string_view name = steps[later].by;
      if (instead.find(name) != std::string::npos) continue;
      instead += (instead.empty() ? "" : ", ") + std::string(name);
    }
    return true;
  }

  // The host's own addresses, and those that the rule names, before any other.
  Natural natural_of(const policy::Rule& rule) const {
    Natural natural;
    const policy::Conditions& conditions = rule.conditions;
    add_named(conditions.from, natural.sources);
    add_named(conditions.to, natural.destinations);
    const bool sends = rule.direction == policy::Direction::Outbound;
    add_host(*host_.host, sends ? natural.sources : natural.destinations);
    for (const policy::ServiceLiteral& literal : conditions.services.literals) {
      if (net::has_ports(literal.protocol)) natural.ports.push_back(literal.destination.first);
    }
    return natural;
  }

  static void add_host(const policy::Host& host, std::vector<net::Address>& to) {
    for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
      for (const net::Prefix& prefix : *list) to.push_back(prefix.address);
    }
  }

  void add_named(const policy::Selectors& selectors, std::vector<net::Address>& to) const {
    for (const policy::Selector& item : selectors.items) {
      if (item.negated) continue;
      if (item.term.kind == policy::TermKind::Host) {
        add_host(policy_.hosts[item.term.index], to);
      } else if (item.term.kind == policy::TermKind::Prefix) {
        to.push_back(net::last(item.term.prefix));
      }
    }
  }

  void add_blockers(RuleUse& use, FirstMatch& first, const Steps& steps, std::size_t at,
                    Direction direction) {
    const Natural natural = natural_of(*steps[at].rule);
    const FirstMatch::Cover cover = first.blockers(at);
    const std::vector<std::size_t>& those = cover.items;
    use.fewest = cover.fewest;
    for (const std::size_t earlier : those) {
      const bool same = those.size() == 1 && first.is_same(at, earlier);
      Blocker blocker{steps[earlier].rule, std::string(steps[earlier].by), same, {}};
      const Diagram left = first.left(at, earlier, [&](Diagram rest) {
        return natural_values(d_, space_, described_, direction, rest, natural);
      });
      const auto one = witness_of(d_, space_, described_, direction, left, &natural);
      if (one) blocker.left = one->packet;
      use.blockers.push_back(std::move(blocker));
    }
  }

  const policy::Policy& policy_;
  const KnownRules& known_;
  policy::HostPolicy& host_;
  Meanings& meanings_;
  Diagrams& d_;
  PacketSpace& space_;
  Denotation& denotation_;
  ruleset::Host described_;
  HostLists lists_;
  RuleLists& made_;
  std::map<const policy::Rule*, RuleUse> uses_;
  std::vector<const policy::Rule*> order_;
};

}  // namespace

std::vector<RuleUse> uses_of_rules(RuleSpace& space, const policy::Policy& policy, HostRules& host,
                                   const KnownRules& known) {
  return Uses(space, policy, host, known).find();
}

std::vector<AcceptedInVain> accepted_in_vain(RuleSpace& space, const policy::Policy& policy,
                                             HostRules& host, const DeniedPackets& denied) {
  const KnownRules none;
  return Uses(space, policy, host, none).in_vain(denied);
}

}  // namespace rolewall::analyze
