#include "analyze/site_rules.h"

#include <array>
#include <utility>

#include "analyze/travelling.h"

namespace rolewall::analyze {
namespace {

// What is shared is worth less than the memory that it takes: beyond this it is made anew.
constexpr std::uint64_t kMostSharedEdges = 8'000'000;

}  // namespace

// A question that ends a space's budget which others have drawn on is asked again in a new one.
template <class Work>
auto SiteRules::within(const Work& work) -> Answer<decltype(work())> {
  if (space_ != nullptr && space_->diagrams.edges() > kMostSharedEdges) space_.reset();
  while (true) {
    const bool fresh = space_ == nullptr;
    try {
      if (fresh) space_ = std::make_unique<RuleSpace>(budget_);
      return work();
    } catch (const BudgetEnded& ended) {
      space_.reset();
      if (fresh) return std::unexpected(NotProven{ended.what});
    }
  }
}

HostRules& SiteRules::rules_of(const policy::HostPolicy& host) {
  const auto [at, is_new] = space_->hosts.try_emplace(host.index);
  HostRules& rules = at->second;
  if (is_new) {
    rules.policy = host;
    rules.policy.defaults.mode = policy::Mode::Enforce;
    rules.denotation = std::make_unique<Denotation>(
        space_->diagrams, space_->packets, space_->meanings, policy_, rules.policy, rules.run_time);
    rules.denotation->share(space_->shared);
  }
  return rules;
}

Answer<std::vector<RuleUse>> SiteRules::uses(const policy::HostPolicy& host,
                                             const KnownRules& known) {
  return within([&] { return uses_of_rules(*space_, policy_, rules_of(host), known); });
}

Answer<FarEnds> SiteRules::far_ends(const policy::HostPolicy& host, const RuleShare& share) {
  return within([&] { return far_ends_of(*space_, rules_of(host), share); });
}

namespace {

constexpr std::array kDropped{Fate::Drop, Fate::Reject};
constexpr std::array kLost{Fate::Drop, Fate::Reject, Fate::Stack};

// Both spaces have the same fields, up to the last of a socket's owner; what one adds for itself is
// taken out.
Diagram copied(Analysis& together, const Answer<PacketSet>& set, Quantifier others, Diagrams& to) {
  if (!set) throw BudgetEnded{set.error().why};
  const FieldId last = together.space().group();
  const Diagram packets = together.diagrams().quantify(
      set->packets, [&](FieldId field) { return field > last ? others : Quantifier::Keep; });
  return to.copy(together.diagrams(), packets);
}

}  // namespace

Answer<std::vector<AcceptedInVain>> SiteRules::accepted_in_vain(const policy::HostPolicy& host,
                                                                Analysis& together) {
  return within([&] {
    const auto of = [&](Direction direction) {
      Diagrams& d = space_->diagrams;
      return Denied{copied(together, together.must(direction, kLost), Quantifier::All, d),
                    copied(together, together.may(direction, kDropped), Quantifier::Any, d)};
    };
    const DeniedPackets packets{together.host(), of(Direction::Arrive), of(Direction::Send)};
    return analyze::accepted_in_vain(*space_, policy_, rules_of(host), packets);
  });
}

// Of what is for the host itself, or sent by it: by some choice, each choice a field.
Diagram SiteRules::accepted(HostRules& host, policy::Direction way) {
  Denotation& means = *host.denotation;
  std::vector<Denotation::Step> steps;
  if (way == policy::Direction::Inbound) {
    for (Denotation::Step step : means.early_steps()) {
      step.packets = space_->diagrams.minus(step.packets, means.not_early());
      steps.push_back(step);
    }
  }
  const auto rest = means.steps(way, nullptr);
  steps.insert(steps.end(), rest.begin(), rest.end());
  std::vector<std::pair<Diagram, Diagram>> key;
  key.reserve(steps.size());
  for (const Denotation::Step& step : steps) key.emplace_back(step.packets, step.then);
  const auto [at, is_new] = space_->accepted.try_emplace(std::move(key), kNothing);
  if (is_new) at->second = means.accepted(steps);
  return at->second;
}

// The first packets of connections between the host, whose end `own` says, and others.
Diagram SiteRules::with_others(HostRules& host, Diagram own, Part device) {
  const Diagram first = space_->diagrams.both(space_->packets.first_packets(), own);
  return space_->diagrams.minus(first, host.denotation->by(device, "lo"));
}

Diagram SiteRules::sends(HostRules& host) {
  if (host.sends) return *host.sends;
  const Diagram own = host.denotation->from(host.policy.host->all_addresses());
  const Diagram realm = with_others(host, own, Part::OutDevice);
  host.sends = space_->diagrams.both(realm, accepted(host, policy::Direction::Outbound));
  return *host.sends;
}

Diagram SiteRules::takes(HostRules& host) {
  if (host.takes) return *host.takes;
  Diagrams& d = space_->diagrams;
  const Diagram own = host.denotation->to(host.policy.host->all_addresses());
  const Diagram realm = with_others(host, own, Part::InDevice);
  // The sender's devices, state and choices are its own.
  host.takes =
      d.quantify(d.both(realm, accepted(host, policy::Direction::Inbound)), [&](FieldId field) {
        const bool own_view = space_->packets.facts(field).kind != FieldKind::Packet ||
                              is_of_host(space_->packets, field);
        return own_view ? Quantifier::Any : Quantifier::Keep;
      });
  return *host.takes;
}

Answer<bool> SiteRules::passes(const Flow& flow) {
  return within([&] {
    Diagrams& d = space_->diagrams;
    for (const policy::HostPolicy* receiver : flow.receivers) {
      HostRules& to = rules_of(*receiver);
      const Diagram taken = d.both(to.denotation->services(flow.services), takes(to));
      if (taken == kNothing) continue;
      for (const policy::HostPolicy* sender : flow.senders) {
        if (sender->index == receiver->index) continue;
        if (d.meet(taken, sends(rules_of(*sender)))) return true;
      }
    }
    return false;
  });
}

}  // namespace rolewall::analyze
