#include "ask/reach_candidates.h"

#include <algorithm>

#include "policy/kinds.h"
#include "policy/selector.h"

namespace rolewall::ask {
namespace {

constexpr std::uint64_t bit(std::size_t service) {
  return std::uint64_t{1} << service % 64;
}

}  // namespace

std::vector<std::size_t> ReachCandidates::between(const End& from, const End& to) {
  const Bits sent = open(from, policy::Direction::Outbound, to);
  const Bits taken = open(to, policy::Direction::Inbound, from);
  std::vector<std::size_t> both;
  for (std::size_t i = 0; i < services_.size(); ++i) {
    if ((sent[i / 64] & taken[i / 64] & bit(i)) != 0) both.push_back(i);
  }
  return both;
}

ReachCandidates::Bits ReachCandidates::open(const End& here, policy::Direction way,
                                            const End& other) {
  if (here.hosts.empty()) return all();
  Bits open(services_.size() / 64 + 1);
  for (const auto& group : here.hosts) add_open(group.front(), way, other.addresses, open);
  return open;
}

// A host that translates is not looked into: what its rules see has other addresses and ports.
void ReachCandidates::add_open(policy::Index host, policy::Direction way,
                               const net::AddressSet& others, Bits& open) {
  policy::HostPolicy& rules = effective(host);
  const bool sends = way == policy::Direction::Outbound;
  const policy::Action by_default = sends ? rules.defaults.outbound : rules.defaults.inbound;
  if (by_default == policy::Action::Accept || !rules.nat.empty()) {
    open = all();
    return;
  }
  for (const policy::EffectiveRule& each : rules.rules(way)) {
    if (each.rule->action != policy::Action::Accept) continue;
    const policy::Conditions& conditions = each.rule->conditions;
    const policy::Selectors& named = sends ? conditions.to : conditions.from;
    if (named.given && (addresses_of(named, host) & others).empty()) continue;
    const Bits& services = services_of(*each.rule);
    for (std::size_t i = 0; i < open.size(); ++i) open[i] |= services[i];
  }
}

const ReachCandidates::Bits& ReachCandidates::services_of(const policy::Rule& rule) {
  const auto [at, is_new] = of_rule_.try_emplace(&rule);
  if (!is_new) return at->second;
  const policy::ServiceList& list = rule.conditions.services;
  if (!list.given) return at->second = all();
  at->second.resize(services_.size() / 64 + 1);
  for (std::size_t i = 0; i < services_.size(); ++i) {
    const bool meets = std::ranges::any_of(services_[i], [&](const auto& one) {
      return std::ranges::any_of(
          list.literals, [&](const auto& each) { return policy::literals_meet(each, one); });
    });
    if (meets) at->second[i / 64] |= bit(i);
  }
  return at->second;
}

const net::AddressSet& ReachCandidates::addresses_of(const policy::Selectors& selectors,
                                                     policy::Index host) {
  const policy::Index self = policy::names_self(selectors) ? host : 0;
  const auto [at, is_new] = addresses_.try_emplace({&selectors, self});
  if (is_new) at->second = policy::addresses_of(policy_, selectors, host);
  return at->second;
}

policy::HostPolicy& ReachCandidates::effective(policy::Index host) {
  const auto [at, is_new] = effective_.try_emplace(host);
  if (is_new) at->second = policy::effective_policy(policy_, host, date_);
  return at->second;
}

}  // namespace rolewall::ask
