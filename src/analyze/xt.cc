// iptables' matches and targets. A match is free to hold or not, and to drop the packet, as some do
// where a header that they need is missing ("hotdrop"): so an answer that hangs on one is a bound.
// Of targets those are followed that say at once what becomes of the packet.
#include <fmt/format.h>

#include "analyze/rule_run.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::analyze {

RuleRun::Step RuleRun::run_xt_match(const ruleset::XtMatch& match) {
  const auto meaning = ruleset::meaning_of(match);
  if (meaning && std::holds_alternative<ruleset::XtComment>(*meaning)) return Goes{};
  const auto may = [&](std::string_view what) {
    return choice(fmt::format("iptables' match {} {}", match.name, what), FieldKind::NotModelled);
  };
  const Diagram rest = rest_for(may("holds"), now());
  return Ends{diagrams_.choose(may("drops"), decided(Fate::Drop), rest)};
}

RuleRun::Step RuleRun::run_xt_target(const ruleset::XtTarget& target) {
  const auto anything = [&]() -> Step {
    return run_unsupported(
        {.name = fmt::format("iptables' target {}", target.name), .reason = "it is not modelled"});
  };
  const auto meaning = ruleset::meaning_of(target);
  if (!meaning) return anything();
  return visit_closed(
      Overloaded{
          [](const ruleset::XtNotes&) -> Step { return Goes{}; },
          [](const ruleset::XtTee&) -> Step { return Goes{}; },
          [&](const ruleset::XtReject&) -> Step { return Ends{decided(Fate::Reject)}; },
          [&](const ruleset::XtCt& ct) { return ct.untracks ? run_notrack() : anything(); },
          [&](const ruleset::XtSetMark&) { return anything(); },
          [&](const ruleset::XtConnmarkTarget&) { return anything(); },
          [&](const ruleset::XtNat&) { return anything(); },
          [&](const ruleset::XtSetMss&) { return anything(); },
          [&](const ruleset::XtStripOptions&) { return anything(); },
          [&](const ruleset::XtSetTos&) { return anything(); },
          [&](const ruleset::XtSetTtl&) { return anything(); },
          [&](const ruleset::XtSetEcn&) { return anything(); },
          [&](const ruleset::XtClassify&) { return anything(); },
          [&](const ruleset::XtTproxyTarget&) { return anything(); },
          [&](const ruleset::XtSetTarget&) { return anything(); },
          [&](const ruleset::XtSynproxyTarget&) { return anything(); },
          [&](const ruleset::XtQueue&) { return anything(); },
      },
      *meaning);
}

}  // namespace rolewall::analyze
