#include "ask/dropped_elsewhere.h"

#include <fmt/format.h>

#include <string>

#include "analyze/analysis.h"
#include "analyze/site_rules.h"
#include "ask/packet_parts.h"
#include "ask/site.h"
#include "eval/eval.h"
#include "policy/codes.h"
#include "policy/effective.h"
#include "ruleset/own_table.h"

namespace rolewall::ask {
namespace {

using policy::Code;

// "ip filter, chain input" where another program's table has the last word; "" where it has not.
std::string dropping(const ruleset::Snapshot& together, const analyze::AcceptedInVain& vain) {
  eval::Evaluator evaluator(together.ruleset, together.host);
  const eval::Journey journey = vain.direction == analyze::Direction::Send
                                    ? evaluator.send(vain.packet, {})
                                    : evaluator.arrive(vain.packet, {});
  const eval::HookResult* hook = deciding_hook(journey);
  const Verdict verdict = hook == nullptr ? Verdict::Accept : verdict_of(hook->fate);
  if (!is_denied(verdict) || !hook->decided) return "";
  const ruleset::Table& table = together.ruleset.tables[hook->decision.table];
  if (ruleset::is_own(table)) return "";
  const DecidedBy by = decided_by(together.ruleset, together.sources, hook->decision);
  return fmt::format("table {} {}, chain {}", by.family, by.table, by.chain);
}

}  // namespace

void lint_beside(const policy::Policy& policy, policy::Date date, policy::Index host,
                 const ruleset::Snapshot& together, Diagnostics& findings) {
  const policy::HostPolicy effective = policy::effective_policy(policy, host, date);
  analyze::Analysis analysis(together.ruleset, together.host);
  analyze::SiteRules rules(policy);
  const auto not_decided = [&](const Span& at, const std::string& why) {
    policy::report(findings, Code::NotDecided, at,
                   fmt::format("whether other tables drop what {} accepts was not decided: {}",
                               policy::quote(policy.hosts[host].name), why));
  };
  const auto all = rules.accepted_in_vain(effective, analysis);
  if (!all) return not_decided(policy.hosts[host].span, all.error().why);
  for (const analyze::AcceptedInVain& vain : *all) {
    const policy::Rule& rule = *vain.rule;
    const std::string by = dropping(together, vain);
    if (by.empty()) {
      not_decided(rule.span,
                  fmt::format("not all packets of {} are followed through what other tables "
                              "translate; `rolewall eval --live` asks one",
                              rule.full_name));
      continue;
    }
    const auto sample = sample_of(vain.packet);
    policy::report(findings, Code::DroppedElsewhere, rule.span,
                   fmt::format("{} accepts{} on {} what {} drops{}", rule.full_name,
                               vain.family.empty() ? "" : " of " + vain.family + ",",
                               policy::quote(policy.hosts[host].name), by,
                               sample ? fmt::format(" (`{}`)", to_words(*sample)) : ""),
                   "a drop in any table is final: take it out there, or this rule here");
  }
}

}  // namespace rolewall::ask
