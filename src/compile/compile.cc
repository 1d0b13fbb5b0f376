#include "compile/compile.h"

#include <fmt/format.h>

#include "base/check.h"
#include "compile/base_chains.h"
#include "compile/dispatch.h"
#include "compile/lower.h"
#include "compile/nat_chains.h"
#include "compile/rule_chain.h"
#include "compile/table_builder.h"
#include "compile/translated.h"
#include "policy/effective.h"
#include "ruleset/verify.h"

namespace rolewall::compile {
namespace {

// What the names of dispatch's chains and maps begin with.
constexpr const char* kEarlyDispatch = "prerouting";
constexpr const char* kInboundDispatch = "inbound";
constexpr const char* kOutboundDispatch = "outbound";
constexpr const char* kForwardDispatch = "forwarding";

ruleset::Host host_of(const policy::Host& host) {
  ruleset::Host result;
  result.name = host.name;
  result.addresses = host.addresses;
  result.virtual_addresses = host.virtual_addresses;
  for (const policy::HostInterface& interface : host.interfaces) {
    for (const std::string& device : interface.devices) {
      ruleset::Interface& added = result.interfaces.emplace_back();
      added.name = interface.name;
      added.device = device;
      added.behind = interface.behind.value_or(net::AddressSet{});
    }
  }
  return result;
}

// "2026-11-30"
std::string text_of(const policy::Date& date) {
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

ruleset::SourceMap source_map(const policy::Policy& policy, const policy::HostPolicy& host) {
  ruleset::SourceMap sources;
  for (const auto* rules : {&host.inbound, &host.outbound, &host.forward, &host.nat}) {
    for (const policy::EffectiveRule& effective : *rules) {
      const policy::Rule& rule = *effective.rule;
      sources[rule.full_name] = {.file = policy.sources.path(rule.span.file),
                                 .line = rule.span.line,
                                 .column = rule.span.column,
                                 .expires = rule.expires ? text_of(*rule.expires) : ""};
    }
  }
  return sources;
}

}  // namespace

ruleset::Snapshot compile(const policy::Policy& policy, policy::Index host,
                          const Options& options) {
  const policy::HostPolicy effective = policy::effective_policy(policy, host, options.date);
  const LoweredPolicy lowered = lower(policy, effective);

  TableBuilder table;
  AddressSets sets(table, options.optimise);
  // Only a host that says something of forwarding or NAT asks what was translated.
  const bool forwards = !effective.forward.empty() || !effective.nat.empty();
  const Translated translated = forwards ? Translated::Apart : Translated::Alike;
  const auto dispatch_to = [&](const char* name, const std::vector<LoweredRule>& rules,
                               Translated how) {
    return add_dispatch(table, sets, name, rules, options.optimise, how);
  };
  Dispatch dispatch;
  dispatch.early = dispatch_to(kEarlyDispatch, lowered.early, Translated::Alike);
  dispatch.inbound = dispatch_to(kInboundDispatch, lowered.inbound, translated);
  dispatch.outbound = dispatch_to(kOutboundDispatch, lowered.outbound, translated);
  if (forwards) {
    dispatch.forward = dispatch_to(kForwardDispatch, lowered.forward, translated);
    const auto& translations = lowered.new_destination;
    add_translated_chain(table, sets, kInboundDispatch, lowered.inbound, translations,
                         Admitted::Here);
    add_translated_chain(table, sets, kOutboundDispatch, lowered.outbound, translations,
                         Admitted::None);
    add_translated_chain(table, sets, kForwardDispatch, lowered.forward, translations,
                         Admitted::Going);
  }
  add_base_chains(table, effective, std::move(dispatch));
  add_nat_chains(table, sets, lowered);
  for (const auto* rules :
       {&lowered.early, &lowered.inbound, &lowered.outbound, &lowered.forward}) {
    for (const LoweredRule& rule : *rules) add_rule_chain(table, rule, effective.defaults);
  }

  ruleset::Ruleset whole;
  whole.tables.push_back(table.take());
  const auto flaw = ruleset::verify(whole);
  CHECK(
      !flaw,
      fmt::format("compiled for {}: {}: {}", effective.host->name, flaw->path, flaw->what).c_str());
  return {host_of(*effective.host), std::move(whole), source_map(policy, effective)};
}

}  // namespace rolewall::compile
