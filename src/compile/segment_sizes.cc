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

void add_rules(std::vector<Rule>& rules, AddressSets& sets, LoweredRule rule) {
  auto& in = rule.conditions.in_devices;
  auto& out = rule.conditions.out_devices;
  const bool tells_directions = !in.empty() || !out.empty();
  for (const CtDirection direction : {CtDirection::Original, CtDirection::Reply}) {
    for (Way& way : ways_to_match(fresh_candidate(rule), sets, Ends::Original)) {
      auto& exprs = append_rule(rules, rule.full_name);
      if (tells_directions) match::ct_direction(exprs, direction);
      exprs.insert(exprs.end(), way.exprs.begin(), way.exprs.end());
      if (rule.segment_size) {
        match::go_to(exprs, own::segment_size_chain(rule.full_name));
      } else {
        match::go_back(exprs);
      }
    }
    if (!tells_directions) return;
    std::swap(in, out);
  }
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
    add_rules(rules, sets, *tcp);
    if (rule->segment_size) add_own_chain(table, *rule);
  }
  table.add_chain(own::kSegmentSizeRules, std::move(rules));

  std::vector<Rule> of_syns;
  auto& exprs = append_rule(of_syns, "");
  match::tcp_flags(exprs, match::kSyn, match::kSyn);
  match::jump(exprs, std::string(own::kSegmentSizeRules));
  BaseChain base;
  base.hook = Hook::Forward;
  base.priority = NF_IP_PRI_MANGLE;
  table.add_base_chain(own::kSegmentSizes, std::move(base), std::move(of_syns));
}

}  // namespace rolewall::compile
