#include "analyze/dead_rules.h"

#include <algorithm>
#include <map>
#include <utility>

#include "analyze/first_match.h"
#include "analyze/witness.h"
#include "net/protocol.h"
#include "ruleset/host.h"

namespace rolewall::analyze {
namespace {

using Steps = std::vector<Denotation::Step>;

class Uses {
 public:
  Uses(const policy::Policy& policy, const policy::HostPolicy& host,
       const std::set<const policy::Rule*>& settled, Budget budget)
      : policy_(policy),
        settled_(settled),
        host_(host),
        d_(budget),
        space_(d_, true),
        denotation_(d_, space_, meanings_, policy, host_, run_time_) {}

  std::vector<RuleUse> find() {
    early();
    for (const policy::Direction way :
         {policy::Direction::Inbound, policy::Direction::Outbound, policy::Direction::Forward}) {
      judged(way);
    }
    for (const bool source : {false, true}) {
      for (const Direction direction : {Direction::Arrive, Direction::Send}) {
        if (!source && direction == Direction::Send) continue;
        const Diagram realm = direction == Direction::Arrive ? arriving() : sent();
        const Steps steps = denotation_.translations(source, direction);
        ask(steps, realm, direction, false);
      }
    }
    std::vector<RuleUse> all;
    for (const policy::Rule* rule : order_) all.push_back(std::move(uses_.at(rule)));
    return all;
  }

 private:
  Diagram own(bool source) {
    std::vector<net::Prefix> single;
    for (const auto* list : {&host_.host->addresses, &host_.host->virtual_addresses}) {
      for (const net::Prefix& prefix : *list) {
        if (prefix.length == net::address_bits(prefix.address)) single.push_back(prefix);
      }
    }
    const net::AddressSet set = net::AddressSet::from(single);
    return source ? denotation_.from(set) : denotation_.to(set);
  }

  Diagram is_local(Part part) { return denotation_.by(part, "lo"); }

  // A socket has both owners.
  Diagram possible(Diagram set) {
    return d_.minus(set,
                    d_.both(d_.where(space_.has_group(), 1, 1), d_.where(space_.has_user(), 0, 0)));
  }

  Diagram arriving() {
    const Diagram forged = d_.minus(own(true), is_local(Part::InDevice));
    return d_.minus(space_.first_packets(), forged);
  }

  Diagram sent() {
    const net::AddressSet all = host_.host->all_addresses();
    const Diagram linked = denotation_.from(net::AddressSet::from(
        {*net::parse_prefix("169.254.0.0/16"), *net::parse_prefix("fe80::/10"),
         *net::parse_prefix("127.0.0.0/8"), *net::parse_prefix("::1/128")}));
    // Who has no address yet asks everybody on the link for one.
    const Diagram asks = d_.both(
        denotation_.from(net::AddressSet::from(
            {*net::parse_prefix("0.0.0.0/32"), *net::parse_prefix("::/128")})),
        d_.both(denotation_.to(net::AddressSet::from(
                    {*net::parse_prefix("255.255.255.255/32"), *net::parse_prefix("ff00::/8")})),
                d_.either(space_.is(Part::Protocol, net::protocol::kUdp),
                          space_.is(Part::Protocol, net::protocol::kIcmpv6))));
    Diagram sources = d_.either(d_.either(denotation_.from(all), linked), asks);
    if (all.ipv4.empty()) sources = d_.either(sources, space_.is_ipv4());
    if (all.ipv6.empty()) sources = d_.either(sources, space_.is_ipv6());
    const Diagram to_itself = d_.minus(own(false), is_local(Part::OutDevice));
    return possible(d_.minus(d_.both(space_.first_packets(), sources), to_itself));
  }

  void early() {
    const Steps steps = denotation_.early_steps();
    if (steps.empty()) return;
    const Diagram forged = d_.minus(own(true), is_local(Part::InDevice));
    const Diagram left_out = denotation_.not_early();
    ask(steps, d_.minus(d_.minus(space_.packets(), forged), left_out), Direction::Arrive, false);
  }

  // The way as the packet comes, and as each translation makes it.
  void judged(policy::Direction way) {
    if (host_.rules(way).empty()) return;
    std::vector<Denotation::Translating> translating{nullptr};
    if (way != policy::Direction::Outbound) {
      for (const policy::EffectiveRule& each : host_.nat) {
        if (!each.rule->translation->of_source()) translating.push_back(each.rule);
      }
    }
    for (const Denotation::Translating by : translating) {
      const bool sends = way == policy::Direction::Outbound;
      Diagram realm = sends ? sent() : arriving();
      if (by != nullptr) {
        realm = d_.both(realm, denotation_.translated_by(*by));
      }
      if (way == policy::Direction::Inbound) {
        realm = d_.both(realm, denotation_.delivered(by));
      } else if (way == policy::Direction::Forward) {
        // Other programs' translations (a container's published port) let what is written to the
        // host itself be passed on.
        realm = d_.minus(realm,
                         d_.either(denotation_.by(Part::OutDevice, ""), is_local(Part::InDevice)));
      }
      ask(denotation_.steps(way, by), realm, sends ? Direction::Send : Direction::Arrive, true);
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
    return step.rule != nullptr && !settled_.contains(step.rule);
  }

  void ask(const Steps& steps, Diagram realm, Direction direction, bool ends) {
    std::vector<FirstMatch::Item> items;
    for (const Denotation::Step& step : steps) {
      const Diagram packets = d_.map(step.meaning, [](std::uint32_t value) {
        return value == Denotation::kGoesOn ? kNothing : kEverything;
      });
      // A rule that ends by itself keeps no other from being needed.
      items.push_back({packets, step.rule == nullptr || !step.rule->expires});
    }
    if (!settled_.empty()) {
      // Of the packets that the others match, and no more.
      std::vector<Diagram> asked;
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (is_asked(steps[i])) asked.push_back(items[i].packets);
      }
      realm = d_.both(realm, d_.union_of(std::move(asked)));
      for (FirstMatch::Item& item : items) item.packets = d_.both(item.packets, realm);
    }
    FirstMatch first(d_, items, realm);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (is_asked(steps[i])) {
        const policy::Rule* rule = steps[i].rule;
        RuleUse& use = use_of(*rule);
        const bool decided = use.decides;
        if (first.decides(i)) {
          use.decides = use.is_there = true;
          const bool same =
              ends && does_alone_decide(*rule) && is_same(first, steps, i, use.instead);
          use.redundant = same && (use.redundant || !decided);
        } else if (!use.decides && use.blockers.empty() && first.is_there(i)) {
          use.is_there = true;
          use.blockers = blockers(first, steps, i, direction);
        }
      }
    }
  }

  // Beside its verdict it has no effect that is missed without it.
  static bool does_alone_decide(const policy::Rule& rule) {
    return !rule.log && !rule.limit && !rule.connections && rule.helper == nullptr &&
           !rule.segment_size && !rule.expires;
  }

  // Whether the same would become of all that the step decides about, without it.
  bool is_same(FirstMatch& first, const Steps& steps, std::size_t at, std::string& instead) {
    const auto fates = [&](Diagram of) {
      return d_.map(of, [&](std::uint32_t value) {
        if (value < Meanings::kFirst) return terminal(value);
        Meaning plain = meanings_.of(value);
        plain.by.clear();
        return meanings_.terminal_of(plain);
      });
    };
    const Diagram own_fates = fates(steps[at].meaning);
    Diagram open = first.left(at);
    const auto after = first.after(at, open);
    std::string names;
    // From the last, the default: mostly it does something else.
    for (std::size_t i = after.size(); i-- > 0;) {
      const auto& [later, packets] = after[i];
      const Diagram differs = d_.differ(own_fates, fates(steps[later].meaning));
      if (d_.both(differs, packets) != kNothing) return false;
      open = d_.minus(open, packets);
    }
    if (open != kNothing) return false;
    for (const auto& [later, packets] : after) {
      const std::string_view name = steps[later].by;
      if (names.find(name) != std::string::npos) continue;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    instead = names;
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

  std::vector<Blocker> blockers(FirstMatch& first, const Steps& steps, std::size_t at,
                                Direction direction) {
    const Natural natural = natural_of(*steps[at].rule);
    std::vector<Blocker> all;
    for (const std::size_t earlier : first.blockers(at)) {
      Blocker blocker{
          steps[earlier].rule, std::string(steps[earlier].by), first.is_same(at, earlier), {}};
      const auto left =
          witness_of(d_, space_, described_, direction, first.left(at, earlier), &natural);
      if (left) blocker.left = left->packet;
      all.push_back(std::move(blocker));
    }
    return all;
  }

  const policy::Policy& policy_;
  const std::set<const policy::Rule*>& settled_;
  policy::HostPolicy host_;
  RunTime run_time_;
  Meanings meanings_;
  Diagrams d_;
  PacketSpace space_;
  Denotation denotation_;
  ruleset::Host described_;
  std::map<const policy::Rule*, RuleUse> uses_;
  std::vector<const policy::Rule*> order_;
};

}  // namespace

Answer<std::vector<RuleUse>> uses_of_rules(const policy::Policy& policy,
                                           const policy::HostPolicy& host,
                                           const std::set<const policy::Rule*>& settled,
                                           Budget budget) {
  // What an audit lets pass is judged as it will be.
  policy::HostPolicy enforced = host;
  enforced.defaults.mode = policy::Mode::Enforce;
  try {
    return Uses(policy, enforced, settled, budget).find();
  } catch (const BudgetEnded& ended) {
    return std::unexpected(NotProven{ended.what});
  }
}

}  // namespace rolewall::analyze
