#include "compile/segment_sizes.h"

#include <linux/netfilter_ipv4.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compile/candidate.h"
#include "compile/match.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using namespace ruleset;
using match::IpVersion;

// RFC 8200: an IPv6 header is 20 bytes longer; RFC 9293 (3.7.1): 1,220 is what every host takes.
std::uint16_t over_ipv6(std::uint16_t over_ipv4) {
  constexpr std::uint16_t kLonger = 20;
  constexpr std::uint16_t kLeast = 1220;
  return std::max(kLeast, static_cast<std::uint16_t>(over_ipv4 - kLonger));
}

void add_own_chain(TableBuilder& table, const LoweredRule& lowered) {
  std::vector<Rule> rules;
  const auto lower_to = [&](std::optional<IpVersion> version, std::optional<std::uint16_t> bytes) {
    auto& exprs = append_rule(rules, lowered.full_name);
    if (version) match::nfproto(exprs, *version);
    match::l4proto(exprs, net::protocol::kTcp);
    match::lower_segment_size(exprs, bytes);
  };
  if (const auto bytes = lowered.segment_size->bytes) {
    lower_to(IpVersion::V4, *bytes);
    lower_to(IpVersion::V6, over_ipv6(*bytes));
  } else {
    lower_to(std::nullopt, std::nullopt);
  }
  table.add_chain(own::segment_size_chain(lowered.full_name), std::move(rules));
}

// The rule as far as it speaks of TCP; std::nullopt where it does not.
std::optional<LoweredRule> of_tcp(const LoweredRule& rule) {
  LoweredRule of_tcp = rule;
  ServiceCondition& service = of_tcp.conditions.service;
  if (service.any) return of_tcp;
  std::erase_if(service.traffic,
                [](const Traffic& box) { return box.protocol != net::protocol::kTcp; });
  if (service.traffic.empty()) return std::nullopt;
  return of_tcp;
}

void decide(match::Exprs& exprs, const LoweredRule& rule) {
  if (rule.segment_size) {
    match::go_to(exprs, own::segment_size_chain(rule.full_name));
  } else {
    match::go_back(exprs);
  }
}

// `ends`: those of the original, or of the reply where the rule's destination opens the connection.
void add_rules(std::vector<Rule>& rules, AddressSets& sets, LoweredRule rule, Ends ends) {
  auto& in = rule.conditions.in_devices;
  auto& out = rule.conditions.out_devices;
  const bool tells_directions = !in.empty() || !out.empty();
  if (ends == Ends::Reply) std::swap(in, out);
  for (const CtDirection direction : {CtDirection::Original, CtDirection::Reply}) {
    for (Way& way : ways_to_match(fresh_candidate(rule), sets, ends)) {
      auto& exprs = append_rule(rules, rule.full_name);
      if (tells_directions) match::ct_direction(exprs, direction);
      exprs.insert(exprs.end(), way.exprs.begin(), way.exprs.end());
      decide(exprs, rule);
    }
    if (!tells_directions) return;
    std::swap(in, out);
  }
}

// A chain for what the helper expects. Of the rules that name it, which one does it belong to?
// Ports tell nothing, and either end may open the connection. Where that leaves a choice, a rule
// with `mss` is it: a segment size that is too small does no harm, and one too large a connection
// that hangs.
void add_expected(TableBuilder& table, AddressSets& sets, const LoweredPolicy& policy,
                  const net::ConntrackHelper& helper) {
  std::vector<LoweredRule> with_size;
  bool all_have_size = true;
  for (const LoweredRule& rule : policy.forward) {
    if (rule.helper != &helper) continue;
    all_have_size = all_have_size && rule.segment_size;
    if (!rule.segment_size) continue;
    with_size.push_back(rule);
    with_size.back().conditions.service = {};
  }
  std::vector<Rule> rules;
  for (const LoweredRule& rule : with_size) {
    const bool takes_all = all_have_size && &rule == &with_size.back();
    if (takes_all || fresh_candidate(rule).unconditional()) {
      decide(append_rule(rules, rule.full_name), rule);
      break;
    }
    for (const Ends ends : {Ends::Original, Ends::Reply}) add_rules(rules, sets, rule, ends);
  }
  table.add_chain(own::expected_segment_sizes(helper.name), std::move(rules));
}

// Those that a rule with `mss` names.
std::vector<const net::ConntrackHelper*> helpers(const LoweredPolicy& policy) {
  std::vector<const net::ConntrackHelper*> found = policy.helpers();
  std::erase_if(found, [&](const net::ConntrackHelper* helper) {
    return std::ranges::none_of(policy.forward, [&](const LoweredRule& rule) {
      return rule.segment_size && rule.helper == helper;
    });
  });
  return found;
}

}  // namespace

void add_segment_sizes(TableBuilder& table, AddressSets& sets, const LoweredPolicy& policy) {
  const auto has_one = [](const LoweredRule& rule) { return rule.segment_size.has_value(); };
  const auto last = std::ranges::find_if(policy.forward.rbegin(), policy.forward.rend(), has_one);
  if (last == policy.forward.rend()) return;
  std::vector<Rule> rules;
  for (auto rule = policy.forward.begin(); rule != last.base(); ++rule) {
    const auto tcp = rule->decides() ? of_tcp(*rule) : std::nullopt;
    if (!tcp) continue;
    add_rules(rules, sets, *tcp, Ends::Original);
    if (rule->segment_size) add_own_chain(table, *rule);
  }
  table.add_chain(own::kSegmentSizeRules, std::move(rules));

  std::vector<Rule> of_syns;
  const auto of_syn = [&]() -> match::Exprs& {
    auto& exprs = append_rule(of_syns, "");
    match::tcp_flags(exprs, match::kSyn, match::kSyn);
    return exprs;
  };
  for (const net::ConntrackHelper* helper : helpers(policy)) {
    add_expected(table, sets, policy, *helper);
    auto& exprs = of_syn();
    match::expected_by(exprs, *helper);
    match::go_to(exprs, own::expected_segment_sizes(helper->name));
  }
  match::jump(of_syn(), std::string(own::kSegmentSizeRules));
  BaseChain base;
  base.hook = Hook::Forward;
  base.priority = NF_IP_PRI_MANGLE;
  table.add_base_chain(own::kSegmentSizes, std::move(base), std::move(of_syns));
}

}  // namespace rolewall::compile
