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
  const net::AddressSet& among = asked.at_large ? at_large_ : all_;
  const auto ends =
      rules_.far_ends(effective(asked.host), {*asked.rule, services, asked.sources, among});
  constexpr std::uint32_t kAllPorts = 65536;
  at->second = ends ? Ends{ends->addresses, ends->tcp_ports} : Ends{among, kAllPorts};
  return at->second;
}

}  // namespace rolewall::ask
