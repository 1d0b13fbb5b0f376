#include "compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/same_fate.h"
#include "eval/tracker.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::kernel_judge {
namespace {

constexpr std::uint32_t kPolicy = eval::Decision::kPolicy;

}  // namespace

Result<Comparison> Comparison::of(const ruleset::Ruleset& compiled, const ruleset::Ruleset& live) {
  Comparison comparison(compiled);
  const auto differs = [](std::string_view what) {
    return fail(ErrorKind::System, fmt::format("the kernel holds another {}", what));
  };
  if (compiled.tables.size() != live.tables.size()) return differs("number of tables");
  for (const auto& table : live.tables) {
    const auto twin = std::ranges::find_if(compiled.tables, [&](const auto& t) {
      return t.family == table.family && t.name == table.name;
    });
    if (twin == compiled.tables.end()) return differs("table: " + table.name);
    if (twin->chains.size() != table.chains.size()) return differs("number of chains");
    comparison.tables_.push_back(static_cast<std::uint32_t>(twin - compiled.tables.begin()));
    auto& chains = comparison.chains_.emplace_back();
    for (const auto& chain : table.chains) {
      const auto* same = ruleset::find_chain(*twin, chain.name);
      if (same == nullptr || same->rules.size() != chain.rules.size()) {
        return differs("chain: " + chain.name);
      }
      chains.push_back(static_cast<std::uint32_t>(same - twin->chains.data()));
    }
  }
  return comparison;
}

Comparison::Place Comparison::place(const sandbox::Step& step) const {
  return {tables_[step.table], chains_[step.table][step.chain], step.rule};
}

std::string Comparison::name(const Place& place) const {
  const auto& chain = compiled_->tables[place.table].chains[place.chain];
  if (place.rule == kPolicy) return chain.name + " end";
  const auto& rule = chain.rules[place.rule];
  return fmt::format("{} rule {}{}", chain.name, place.rule + 1,
                     rule.comment.empty() ? "" : " (" + rule.comment.text() + ")");
}

// A match of iptables has dropped the packet for its headers are cut off, or `ct count` for it has
// no tuple, in a rule whose target rejects: the trace has a drop, and does not say by whom.
bool Comparison::is_dropped_by_match(const eval::HookResult& ours,
                                     const sandbox::HookObservation& theirs) const {
  if (ours.fate != eval::Fate::Drop || theirs.fate != sandbox::Fate::Reject || !ours.decided ||
      ours.decision.rule == eval::Decision::kPolicy) {
    return false;
  }
  const auto& rule =
      compiled_->tables[ours.decision.table].chains[ours.decision.chain].rules[ours.decision.rule];
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::XtMatch>(expr) ||
           std::holds_alternative<ruleset::Connlimit>(expr);
  });
}

std::string Comparison::difference(const eval::Journey& journey,
                                   const sandbox::Observation& seen) const {
  if (journey.hooks.size() != seen.hooks.size()) {
    return fmt::format("it meets {} hooks in the evaluator and {} in the kernel",
                       journey.hooks.size(), seen.hooks.size());
  }
  for (std::size_t h = 0; h < seen.hooks.size(); ++h) {
    const eval::HookResult& ours = journey.hooks[h];
    const sandbox::HookObservation& theirs = seen.hooks[h];
    const auto hook = ruleset::name_of(theirs.hook);
    // Between prerouting and the next hook nobody says which one that would have been.
    const bool between = (ours.fate == eval::Fate::Stack || ours.fate == eval::Fate::Held) &&
                         theirs.fate == sandbox::Fate::Stack;
    if (ours.hook != theirs.hook && !between) return fmt::format("hook {} is another", h + 1);
    if (!seen.traced) {
      // No more is known than whether it came through, and whether it came to be asked.
      const bool accepted = ours.fate == eval::Fate::Accept;
      if (accepted != (theirs.fate == sandbox::Fate::Accept)) {
        return fmt::format("{}: the evaluator says {}, the kernel, which cannot trace it, {}", hook,
                           name_of(ours.fate), accepted ? "does not accept" : "accepts");
      }
      continue;
    }
    // The watch stands before the end of the hook, where connection tracking refuses a flow.
    if (ours.reason == eval::kNotConfirmed && theirs.fate == sandbox::Fate::Accept) continue;
    if (!cli::same_fate(ours.fate, theirs.fate) && !is_dropped_by_match(ours, theirs)) {
      return fmt::format("{}: the evaluator says {}, the kernel {}", hook, name_of(ours.fate),
                         sandbox::words_of(theirs.fate));
    }
    std::string path = path_difference(ours, theirs, hook);
    if (!path.empty() && !is_order_open(ours.hook)) return path;
  }
  return "";
}

// By which rules it came to the same.
std::string Comparison::path_difference(const eval::HookResult& ours,
                                        const sandbox::HookObservation& theirs,
                                        std::string_view hook) const {
  const sandbox::Step* decision = theirs.decision();
  if (ours.decided != (decision != nullptr)) {
    return fmt::format("{}: one of them decided nothing", hook);
  }
  if (decision != nullptr) {
    const Place decided{ours.decision.table, ours.decision.chain, ours.decision.rule};
    if (decided != place(*decision)) {
      return fmt::format("{}: the evaluator's rule is {}, the kernel's {}", hook, name(decided),
                         name(place(*decision)));
    }
  }
  auto step = ours.steps.begin();
  const auto skip = [&] {
    while (step != ours.steps.end() && !step->matched) ++step;
  };
  skip();
  for (const sandbox::Step& ran : theirs.path) {
    if (ran.rule == sandbox::Step::kEnd) continue;
    if (step == ours.steps.end() || Place{step->table, step->chain, step->rule} != place(ran)) {
      return fmt::format("{}: the kernel ran {}", hook, name(place(ran)));
    }
    if (step->verdict.code != ran.verdict.code || step->verdict.chain != ran.verdict.chain) {
      return fmt::format("{}: {} leaves another verdict", hook, name(place(ran)));
    }
    ++step;
    skip();
  }
  if (step != ours.steps.end()) {
    return fmt::format("{}: the evaluator alone ran {}", hook,
                       name({step->table, step->chain, step->rule}));
  }
  return "";
}

// Chains of two tables at one priority: a ruleset does not tell which of them runs first, and where
// the packet's end does not hang on it the evaluator runs them in one order alone.
bool Comparison::is_order_open(ruleset::Hook hook) const {
  std::map<std::int32_t, std::uint32_t> by_table;
  for (std::uint32_t table = 0; table < compiled_->tables.size(); ++table) {
    for (const ruleset::Chain& chain : compiled_->tables[table].chains) {
      if (!chain.base || chain.base->hook != hook) continue;
      if (by_table.emplace(chain.base->priority, table).first->second != table) return true;
    }
  }
  return false;
}

std::string Comparison::describe(const eval::Journey& journey) const {
  std::string text;
  for (const auto& hook : journey.hooks) {
    text += fmt::format("    {} {}{}:", ruleset::name_of(hook.hook), name_of(hook.fate),
                        hook.reason.empty() ? "" : " (" + hook.reason + ")");
    for (const auto& step : hook.steps) {
      if (!step.matched) continue;
      text += fmt::format(" [{} {}]", name({step.table, step.chain, step.rule}),
                          ruleset::name_of(step.verdict.code));
    }
    text += "\n";
  }
  return text;
}

std::string Comparison::describe(const sandbox::Observation& seen) const {
  std::string text;
  for (const auto& hook : seen.hooks) {
    text += fmt::format("    {} {}{}:", ruleset::name_of(hook.hook), sandbox::words_of(hook.fate),
                        seen.reason.empty() ? "" : " (" + seen.reason + ")");
    for (const auto& step : hook.path) {
      text += fmt::format(" [{} {}]", name(place(step)), ruleset::name_of(step.verdict.code));
    }
    text += "\n";
  }
  return text;
}

void Comparison::remember(const sandbox::Observation& seen) {
  for (const auto& hook : seen.hooks) {
    for (const sandbox::Step& step : hook.path) {
      if (step.rule != sandbox::Step::kEnd) run_.insert(place(step));
    }
  }
}

std::size_t Comparison::rules() const {
  std::size_t count = 0;
  for (const auto& table : compiled_->tables) {
    for (const auto& chain : table.chains) count += chain.rules.size();
  }
  return count;
}

std::vector<std::string> Comparison::rules_not_run() const {
  std::vector<std::string> names;
  Place at;
  for (at.table = 0; at.table < compiled_->tables.size(); ++at.table) {
    const auto& chains = compiled_->tables[at.table].chains;
    for (at.chain = 0; at.chain < chains.size(); ++at.chain) {
      for (at.rule = 0; at.rule < chains[at.chain].rules.size(); ++at.rule) {
        if (!run_.contains(at)) names.push_back(name(at));
      }
    }
  }
  return names;
}

}  // namespace rolewall::kernel_judge
