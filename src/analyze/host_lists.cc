#include "analyze/host_lists.h"

#include <utility>

#include "analyze/site_rules.h"
#include "net/known_addresses.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::analyze {
namespace {

const net::AddressSet& loopback_addresses() {
  static const net::AddressSet kLoopback = net::known_addresses({"127.0.0.0/8", "::1/128"});
  return kLoopback;
}

}  // namespace

HostLists::HostLists(RuleSpace& space, HostRules& host)
    : host_(host.policy),
      d_(space.diagrams),
      space_(space.packets),
      denotation_(*host.denotation) {}

Diagram HostLists::own(bool source) {
  std::vector<net::Prefix> single;
  for (const auto* list : {&host_.host->addresses, &host_.host->virtual_addresses}) {
    for (const net::Prefix& prefix : *list) {
      if (prefix.length == net::address_bits(prefix.address)) single.push_back(prefix);
    }
  }
  const net::AddressSet set = net::AddressSet::from(single);
  return source ? denotation_.from(set) : denotation_.to(set);
}

Diagram HostLists::is_local(Part part) {
  return denotation_.by(part, "lo");
}

// A socket has both owners.
Diagram HostLists::possible(Diagram set) {
  return d_.minus(set,
                  d_.both(d_.where(space_.has_group(), 1, 1), d_.where(space_.has_user(), 0, 0)));
}

Diagram HostLists::arriving(bool translated) {
  Diagram to_loopback = denotation_.to(loopback_addresses());
  if (translated) to_loopback = d_.minus(to_loopback, space_.is_ipv4());
  const Diagram loopback = d_.either(denotation_.from(loopback_addresses()), to_loopback);
  const Diagram forged = d_.minus(d_.either(own(true), loopback), is_local(Part::InDevice));
  return d_.minus(space_.first_packets(), forged);
}

Diagram HostLists::sent() {
  const net::AddressSet all = host_.host->all_addresses();
  const Diagram linked = denotation_.from(
      net::AddressSet::from({*net::parse_prefix("169.254.0.0/16"), *net::parse_prefix("fe80::/10"),
                             *net::parse_prefix("127.0.0.0/8"), *net::parse_prefix("::1/128")}));
  // Who has no address yet asks everybody on the link for one.
  Diagram asks = d_.both(
      denotation_.from(
          net::AddressSet::from({*net::parse_prefix("0.0.0.0/32"), *net::parse_prefix("::/128")})),
      d_.both(denotation_.to(net::AddressSet::from(
                  {*net::parse_prefix("255.255.255.255/32"), *net::parse_prefix("ff00::/8")})),
              d_.either(space_.is(Part::Protocol, net::protocol::kUdp),
                        space_.is(Part::Protocol, net::protocol::kIcmpv6))));
  asks = d_.minus(asks, is_local(Part::OutDevice));
  Diagram sources = d_.either(d_.either(denotation_.from(all), linked), asks);
  if (all.ipv4.empty()) sources = d_.either(sources, space_.is_ipv4());
  if (all.ipv6.empty()) sources = d_.either(sources, space_.is_ipv6());
  const Diagram inside = d_.either(own(false), denotation_.to(loopback_addresses()));
  const Diagram to_itself = d_.minus(inside, is_local(Part::OutDevice));
  return possible(d_.minus(d_.both(space_.first_packets(), sources), to_itself));
}

const HostLists::Steps& HostLists::early_steps() {
  if (early_) return *early_;
  early_ = denotation_.early_steps();
  for (Denotation::Step& step : *early_) {
    step.packets = d_.minus(step.packets, denotation_.not_early());
  }
  return *early_;
}

// What arrives has met the early rules before.
HostLists::Steps HostLists::after_early(Steps steps) {
  steps.insert(steps.begin(), early_steps().begin(), early_steps().end());
  return steps;
}

// As the packet comes, and as each translation makes it.
std::vector<Denotation::Translating> HostLists::translating(policy::Direction way) const {
  std::vector<Denotation::Translating> all{nullptr};
  if (way == policy::Direction::Outbound) return all;
  for (const policy::EffectiveRule& each : host_.nat) {
    if (!each.rule->translation->of_source()) all.push_back(each.rule);
  }
  return all;
}

// The packets to which this [[nat]] rule gives a new destination; null: those that keep theirs.
// The first that matches decides, also where a packet goes there already.
Diagram HostLists::as_translated(Denotation::Translating by) {
  Diagram before = kNothing;
  Diagram anew = kNothing;
  for (const Denotation::Step& step : denotation_.translations(false, Direction::Arrive)) {
    const Diagram own = d_.minus(denotation_.translated_by(*step.rule), before);
    if (step.rule == by) return own;
    if (step.rule->expires) continue;  // as in items_of()
    anew = d_.either(anew, own);
    before = d_.either(before, step.packets);
  }
  return d_.complement(anew);
}

// What comes to the rules of the way.
Diagram HostLists::realm_of(policy::Direction way, Denotation::Translating by) {
  if (way == policy::Direction::Outbound) return sent();
  Diagram realm = d_.both(arriving(by != nullptr), as_translated(by));
  if (way == policy::Direction::Inbound) return d_.both(realm, denotation_.delivered(by));
  // Other programs' translations (a container's published port) let what is written to the
  // host itself be passed on; our own say where it goes.
  if (by != nullptr) realm = d_.minus(realm, denotation_.delivered(by));
  return d_.minus(realm, d_.either(denotation_.by(Part::OutDevice, ""), is_local(Part::InDevice)));
}

// A connection's first packet alone is translated, and nothing that came over the loopback.
Diagram HostLists::translatable(Diagram realm) {
  const Diagram begins = d_.where(space_.state(), ruleset::ct_state::kNew, ruleset::ct_state::kNew);
  return d_.minus(d_.both(realm, begins), is_local(Part::InDevice));
}

FirstMatch HostLists::first_of(const Steps& steps, Diagram realm) {
  std::vector<FirstMatch::Item> items;
  for (const Denotation::Step& step : steps) {
    // A rule that ends by itself keeps no other from being needed.
    items.push_back({denotation_.matched(step), step.rule == nullptr || !step.rule->expires});
  }
  return {d_, std::move(items), realm, sides()};
}

RuleList HostLists::list_of(policy::Direction way, Denotation::Translating by) {
  const bool translates = way == policy::Direction::Nat;
  Steps steps =
      translates ? denotation_.translations(false, Direction::Arrive) : denotation_.steps(way, by);
  if (way != policy::Direction::Outbound) steps = after_early(std::move(steps));
  FirstMatch first = first_of(steps, translates ? translatable(arriving(true)) : realm_of(way, by));
  return {std::move(steps), std::move(first)};
}

// What tells most rules apart comes first.
FirstMatch::Sides HostLists::sides() const {
  const auto of = [&](Part part, FieldId word = 0) { return space_.field(part) + word; };
  return {of(Part::Family),
          {{{family::kIpv4,
             {of(Part::Destination4), of(Part::Source4), of(Part::Transport2), of(Part::Protocol),
              of(Part::Transport0), space_.state(), of(Part::InDevice), of(Part::OutDevice)}},
            {family::kIpv6,
             {of(Part::Destination6), of(Part::Destination6, 1), of(Part::Source6),
              of(Part::Source6, 1), of(Part::Transport2), of(Part::Protocol), of(Part::Transport0),
              space_.state()}}}}};
}

}  // namespace rolewall::analyze
