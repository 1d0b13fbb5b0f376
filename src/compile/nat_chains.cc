#include "compile/nat_chains.h"

#include <linux/netfilter_ipv4.h>

#include <set>
#include <utility>

#include "compile/candidate.h"
#include "compile/match.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;

Rule of(const LoweredRule& rule) {
  return {0, rule.full_name, {}};
}

// nft takes a port only after a test of the protocol; whatever has come here has passed it.
std::vector<match::Exprs> protocol_tests(const LoweredRule& rule, bool with_port) {
  if (!with_port) return {match::Exprs{}};
  std::set<std::uint8_t> protocols;
  for (const Traffic& box : rule.conditions.service.traffic) protocols.insert(box.protocol);
  std::vector<match::Exprs> tests;
  for (const std::uint8_t protocol : protocols) match::l4proto(tests.emplace_back(), protocol);
  return tests;
}

void add_addresses(std::vector<Rule>& rules, const LoweredRule& lowered, NatKind kind) {
  const policy::Translation& translation = translation_of(lowered);
  for (const net::Address& address : translation.addresses) {
    for (const match::Exprs& test : protocol_tests(lowered, translation.port.has_value())) {
      Rule rule = of(lowered);
      match::nfproto(rule.exprs, net::is_ipv4(address) ? IpVersion::V4 : IpVersion::V6);
      rule.exprs.insert(rule.exprs.end(), test.begin(), test.end());
      match::nat(rule.exprs, kind, address, translation.port);
      rules.push_back(std::move(rule));
    }
  }
}

void add_translation(TableBuilder& table, const LoweredRule& lowered) {
  const policy::Translation& translation = translation_of(lowered);
  std::vector<Rule> rules{of(lowered)};
  match::counter(rules[0].exprs);
  switch (translation.kind) {
    case policy::Translation::Kind::Destination:
      add_addresses(rules, lowered, NatKind::Destination);
      break;
    case policy::Translation::Kind::Source:
      add_addresses(rules, lowered, NatKind::Source);
      break;
    case policy::Translation::Kind::Local:
      for (const match::Exprs& test : protocol_tests(lowered, translation.port.has_value())) {
        rules.push_back({0, lowered.full_name, test});
        match::redirect(rules.back().exprs, translation.port);
      }
      break;
    case policy::Translation::Kind::Masquerade:
      rules.push_back(of(lowered));
      rules.back().exprs.push_back(Masquerade{});
      break;
  }
  table.add_chain(lowered.full_name, std::move(rules));
}

// Other programs' translations may have been made before a chain of ours is asked (of the source:
// after the destination's): the original tuple still has what the client wrote.
void add_base(TableBuilder& table, AddressSets& sets, std::string_view name, Hook hook,
              int priority, const std::vector<LoweredRule>& list) {
  if (list.empty()) return;
  std::vector<Rule> rules;
  for (const LoweredRule& lowered : list) {
    const auto destination = hook == Hook::Postrouting ? Ends::OriginalDestination : Ends::Written;
    for (Rule& rule : linear_rules(fresh_candidate(lowered), sets, destination)) {
      rules.push_back(std::move(rule));
    }
    add_translation(table, lowered);
  }
  BaseChain base;
  base.type = ChainType::Nat;
  base.hook = hook;
  base.priority = priority;
  table.add_base_chain(name, std::move(base), std::move(rules));
}

}  // namespace

void add_nat_chains(TableBuilder& table, AddressSets& sets, const LoweredPolicy& policy) {
  add_base(table, sets, own::kNewDestination, Hook::Prerouting, NF_IP_PRI_NAT_DST,
           policy.new_destination);
  add_base(table, sets, own::kNewSource, Hook::Postrouting, NF_IP_PRI_NAT_SRC, policy.new_source);
}

}  // namespace rolewall::compile
