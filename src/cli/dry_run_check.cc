#include "cli/dry_run_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "ask/site.h"
#include "cli/same_fate.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/rule_parts.h"
#include "ruleset/table_index.h"

namespace rolewall::cli {
namespace {

using ruleset::Hook;
namespace ct_state = ruleset::ct_state;

// Whether the rule asks what earlier packets have left: a limit, a count, or a set whose elements
// come and go without a change of the ruleset.
bool asks_the_past(const ruleset::Rule& rule, const ruleset::TableIndex& table) {
  using ruleset::Memory;
  return std::ranges::any_of(rule.exprs, [&](const ruleset::Expr& expr) {
    const ruleset::Effects effects = ruleset::effects_of(expr, table);
    const ruleset::Set* set = effects.set == nullptr ? nullptr : table.set(*effects.set);
    if (set != nullptr && (set->dynamic || set->has_timeout)) return true;
    switch (effects.memory) {
      case Memory::Nothing:
      case Memory::Count:
      case Memory::Flow:
        return false;
      case Memory::Tokens:
      case Memory::Bytes:
      case Memory::Connections:
      case Memory::Number:
      case Memory::Elements:
      case Memory::Unknown:
        return true;
    }
    return true;
  });
}

// A rule that only writes a line: its limit is about lines, and whether it ran says nothing of the
// packet.
bool only_logs(const ruleset::Rule& rule) {
  const bool logs = std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Log>(expr);
  });
  return logs && ruleset::final_verdict(rule) == nullptr && !ruleset::rejects(rule);
}

std::uint64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

bool is_of_stack(eval::Fate fate) {
  return fate == eval::Fate::Stack || fate == eval::Fate::Held;
}

// Below IP there are chains that a packet passes before it is marked.
bool is_of_ip(const eval::HookResult& hook) {
  return hook.hook != Hook::Ingress && hook.hook != Hook::Egress;
}

}  // namespace

DryRunCheck::DryRunCheck(const ruleset::Snapshot& snapshot)
    : snapshot_(snapshot), evaluator_(snapshot.ruleset, snapshot.host) {}

std::string DryRunCheck::name_of_rule(std::uint32_t table, std::uint32_t chain,
                                      std::uint32_t rule) const {
  const ruleset::Table& in = snapshot_.ruleset.tables[table];
  const ruleset::Chain& of = in.chains[chain];
  std::string words = fmt::format("{} {} {}", ruleset::name_of(in.family), in.name, of.name);
  if (rule == eval::Decision::kPolicy) return words + " (its end)";
  const ruleset::Rule& one = of.rules[rule];
  if (!one.comment.empty()) return fmt::format("{} rule {}", words, one.comment.text());
  return fmt::format("{} rule {} (handle {})", words, rule + 1, one.handle);
}

DryRunCheck::Difference DryRunCheck::difference(const eval::Journey& journey,
                                                const sandbox::Observation& seen) const {
  std::vector<const eval::HookResult*> hooks;
  for (const eval::HookResult& hook : journey.hooks) {
    if (is_of_ip(hook)) hooks.push_back(&hook);
    if (!is_of_ip(hook) && hook.fate != eval::Fate::Accept && hooks.empty()) {
      return {.what = "the dry run denies it before any chain of IP"};
    }
  }
  const std::size_t both = std::min(hooks.size(), seen.hooks.size());
  for (std::size_t h = 0; h < both; ++h) {
    const eval::HookResult& ours = *hooks[h];
    const sandbox::HookObservation& theirs = seen.hooks[h];
    const auto hook = ruleset::name_of(theirs.hook);
    const auto differs = [&](std::string what) {
      return Difference{.what = std::move(what),
                        .hook = ours.hook,
                        .by_the_stack = theirs.fate == sandbox::Fate::Stack};
    };
    const bool between = is_of_stack(ours.fate) && theirs.fate == sandbox::Fate::Stack;
    // The stack discards it behind this hook, of which no chain has told an end.
    const bool just_behind = theirs.fate == sandbox::Fate::Stack && h + 1 == seen.hooks.size() &&
                             ours.fate == eval::Fate::Accept && h + 1 < hooks.size() &&
                             is_of_stack(hooks[h + 1]->fate);
    if (ours.hook != theirs.hook && !between) {
      return differs(fmt::format("it goes to {} in the dry run, and to {}",
                                 ruleset::name_of(ours.hook), hook));
    }
    if (!same_fate(ours.fate, theirs.fate) && !just_behind) {
      return differs(fmt::format("{}: the dry run says {}, the kernel {}", hook,
                                 eval::name_of(ours.fate), words_of(theirs.fate)));
    }
    const sandbox::Step* decision = theirs.decision();
    if (decision != nullptr && ours.decided) {
      const bool same = ours.decision.table == decision->table &&
                        ours.decision.chain == decision->chain &&
                        ours.decision.rule == decision->rule;
      if (!same) {
        return differs(
            fmt::format("{}: {} decides in the dry run, and {}", hook,
                        name_of_rule(ours.decision.table, ours.decision.chain, ours.decision.rule),
                        name_of_rule(decision->table, decision->chain, decision->rule)));
      }
    }
    auto step = ours.steps.begin();
    const auto skip = [&] {
      while (step != ours.steps.end() && (!step->matched || only_logs(rule_at(*step)))) ++step;
    };
    skip();
    for (const sandbox::Step& ran : theirs.path) {
      if (ran.rule == sandbox::Step::kEnd || only_logs(rule_at(ran))) continue;
      const bool same = step != ours.steps.end() && step->table == ran.table &&
                        step->chain == ran.chain && step->rule == ran.rule;
      if (!same) {
        return differs(fmt::format("{}: the kernel ran {}", hook,
                                   name_of_rule(ran.table, ran.chain, ran.rule)));
      }
      ++step;
      skip();
    }
    if (step != ours.steps.end()) {
      return differs(fmt::format("{}: the dry run alone ran {}", hook,
                                 name_of_rule(step->table, step->chain, step->rule)));
    }
    if (just_behind) return {};
  }
  if (hooks.size() != seen.hooks.size()) {
    return {.what = fmt::format("it meets {} hooks in the dry run, and {}", hooks.size(),
                                seen.hooks.size()),
            .hook = both == 0 ? ruleset::Hook::Prerouting : hooks[both - 1]->hook};
  }
  return {};
}

bool DryRunCheck::may_have_been_spent(const eval::Journey& journey, Hook up_to) const {
  for (const eval::HookResult& hook : journey.hooks) {
    if (hook.hook > up_to) break;
    for (const eval::Step& step : hook.steps) {
      const ruleset::Rule& rule = rule_at(step);
      if (only_logs(rule)) continue;
      const ruleset::Table& table = snapshot_.ruleset.tables[step.table];
      if (asks_the_past(rule, ruleset::TableIndex(table))) return true;
    }
  }
  return false;
}

DryRun DryRunCheck::check_as(const eval::Packet& packet, const TracedPacket& traced,
                             const sandbox::Observation& seen) {
  eval::Options options;
  options.trust_checksums = true;
  options.note_reads = true;
  options.now_ns = packet.time_ns.value_or(0);
  const auto direction = traced.arrives ? eval::Direction::Arrive : eval::Direction::Send;
  options.follows_back = !seen.hooks.empty() && (seen.hooks.back().hook == Hook::Prerouting ||
                                                 seen.hooks.back().hook == Hook::Input);
  const eval::Outcomes outcomes = evaluator_.outcomes(packet, direction, options);
  DryRun found;
  found.agreement = Agreement::Differs;
  for (const eval::Journey& way : outcomes.ways) {
    if (way.fate() == eval::Fate::Undecided) {
      const std::string& why = way.hooks.empty() ? std::string() : way.hooks.back().reason;
      return {Agreement::NotCompared, "the dry run cannot decide: " + why, "undecided"};
    }
    Difference differs = difference(way, seen);
    if (differs.what.empty()) {
      return {Agreement::Agrees, "", std::string(ask::name_of(ask::verdict_of(way.fate())))};
    }
    if (!found.why.empty()) continue;
    found.why = std::move(differs.what);
    found.verdict = ask::name_of(ask::verdict_of(way.fate()));
    if (way.reads.options) {
      found.agreement = Agreement::NotCompared;
      found.why = "a rule looks for an option, and the kernel tells none (" + found.why + ")";
    }
    // What the stack discards, no limit does.
    if (!differs.by_the_stack && may_have_been_spent(way, differs.hook)) {
      found.agreement = Agreement::NotCompared;
      found.why = "a limit or a set that packets fill was asked, and what it held is not known (" +
                  found.why + ")";
    }
  }
  if (!outcomes.complete) {
    return {Agreement::NotCompared, "the dry run has more ways than it lists", found.verdict};
  }
  return found;
}

DryRun DryRunCheck::check(const TracedPacket& traced, const sandbox::Observation& seen) {
  Result<eval::Packet> packet = packet_in(traced.first, snapshot_.host);
  if (!packet) return {Agreement::NotCompared, packet.error().message, ""};
  packet->time_ns = now_ns();
  const TracedFlow flow = flow_of(traced);
  // Of a flow that is given the evaluator does not know how it is translated.
  if (flow.translated && flow.state != ct_state::kNew) {
    return {Agreement::NotCompared, "its connection was translated by an earlier packet", ""};
  }
  // It goes on by the device that the kernel's routes have said.
  if (traced.arrives) {
    for (const observe::TraceMessage& message : traced.messages) {
      if (message.out_index == 0) continue;
      const auto later = packet_in(message, snapshot_.host);
      if (later) packet->out_device = later->out_device;
    }
  }
  if (flow.state) {
    packet->ct_state = flow.state;
    return check_as(*packet, traced, seen);
  }
  // A kernel before 6.16, or a packet that connection tracking has not seen: any state that agrees.
  DryRun first;
  for (const std::optional<std::uint32_t> state :
       {std::optional<std::uint32_t>(), std::optional(ct_state::kEstablished),
        std::optional(ct_state::kRelated), std::optional(ct_state::kInvalid),
        std::optional(ct_state::kUntracked)}) {
    packet->ct_state = state;
    DryRun found = check_as(*packet, traced, seen);
    if (found.agreement == Agreement::Agrees) return found;
    if (!state) first = std::move(found);
  }
  if (first.agreement == Agreement::Differs) first.why += " (with any connection state)";
  return first;
}

}  // namespace rolewall::cli
