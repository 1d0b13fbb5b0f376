#include "ask/decided.h"

#include "policy/effective.h"
#include "policy/kinds.h"

namespace rolewall::ask {

const policy::HostPolicy& Decided::effective(policy::Index host) {
  const auto [at, is_new] = effective_.try_emplace(host);
  if (is_new) at->second = policy::effective_policy(policy_, host, date_);
  return at->second;
}

const Decided::Ends& Decided::ends(const Question& question) {
  Question asked = question;
  asked.host = hosts_
                   .try_emplace({alike_.kind_of(question.host),
                                 virtual_addresses_of(policy_.hosts[question.host])},
                                question.host)
                   .first->second;
  const auto [at, is_new] = known_.try_emplace(asked);
  if (!is_new) return at->second;
  const policy::ServiceList& own = asked.rule->conditions.services;
  const policy::ServiceList services =
      asked.kind ? policy::services_of_kind(policy_, own, *asked.kind) : own;
  net::AddressSet among = net::AddressSet::all();
  analyze::RuleShare share{*asked.rule, services, asked.sources, among};
  if (asked.at_large) {
    among = at_large_;
    if (asked.sources) {
      among = among & policy::sources_by_words(policy_, *asked.rule, asked.host);
    }
    share.is_enough = [&](const analyze::FarEnds& part) {
      return policy::holds_much_of_internet(policy_, part.addresses) &&
             (asked.kind || part.tcp_ports >= policy::kNearlyAllPorts);
    };
  }
  const auto ends = rules_.far_ends(effective(asked.host), share);
  constexpr std::uint32_t kAllPorts = 65536;
  at->second = ends ? Ends{ends->addresses, ends->tcp_ports} : Ends{among, kAllPorts};
  return at->second;
}

}  // namespace rolewall::ask
