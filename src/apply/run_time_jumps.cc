#include "apply/run_time_jumps.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>

#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"
#include "ruleset/table_flags.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

enum class Step : std::uint8_t { Banned, Allowed };

struct Jump {
  std::string_view from;
  std::string_view to;
  Step step;
};

constexpr std::array kJumps = {
    Jump{own::kInput, own::kBannedInput, Step::Banned},
    Jump{own::kOutput, own::kBannedOutput, Step::Banned},
    Jump{own::kForward, own::kBannedForward, Step::Banned},
    Jump{own::kInput, own::kAllowed, Step::Allowed},
};

bool is_meant(const Jump& jump, RunTimeSteps steps) {
  switch (jump.step) {
    case Step::Banned:
      return steps.bans;
    case Step::Allowed:
      return steps.openings;
  }
  return false;
}

bool leads_to(const Rule& rule, std::string_view chain) {
  const Verdict* last = final_verdict(rule);
  return last != nullptr && last->code == VerdictCode::Jump && last->chain == chain;
}

bool has(const Chain& chain, const Jump& jump) {
  return std::ranges::any_of(chain.rules,
                             [&](const Rule& rule) { return leads_to(rule, jump.to); });
}

// Bans are asked about before what is invalid, openings after what is spoofed. Where somebody took
// those rules away: before everything else.
auto place_of(const Jump& jump, const Chain& chain) {
  const auto unusual = std::ranges::find_if(
      chain.rules, [](const Rule& rule) { return leads_to(rule, own::kUnusual); });
  const bool is_there = unusual != chain.rules.end();
  switch (jump.step) {
    case Step::Banned:
      return is_there ? unusual : chain.rules.begin();
    case Step::Allowed: {
      const auto spoofed = std::ranges::find(chain.rules.rbegin(), chain.rules.rend(),
                                             own::step::kSpoofed, &Rule::comment);
      if (spoofed != chain.rules.rend()) return spoofed.base();
      return is_there ? std::next(unusual) : chain.rules.begin();
    }
  }
  return chain.rules.begin();
}

}  // namespace

RunTimeSteps held_by(const Table& table) {
  RunTimeSteps held;
  for (const Set& set : table.sets) {
    if (set.elements.empty()) continue;
    held.bans |= own::holds_bans(set.name);
    held.openings |= own::holds_openings(set.name);
  }
  return held;
}

RunTimeSteps led_to_by(const Table& table) {
  RunTimeSteps steps;
  for (const Jump& jump : kJumps) {
    const Chain* chain = find_chain(table, jump.from);
    if (chain == nullptr || !has(*chain, jump)) continue;
    (jump.step == Step::Banned ? steps.bans : steps.openings) = true;
  }
  return steps;
}

bool lacks_chains_of(const Table& table, RunTimeSteps steps) {
  if (find_chain(table, own::kUnusual) == nullptr) return false;  // no version's
  return std::ranges::any_of(kJumps, [&](const Jump& jump) {
    return is_meant(jump, steps) && find_chain(table, jump.to) == nullptr;
  });
}

std::string why_without_effect(const Table& table, RunTimeSteps steps) {
  if ((table.flags & kTableDormant) != 0) return "it is dormant and filters nothing";
  if (find_chain(table, own::kUnusual) == nullptr) return "";  // no version's: nothing is known
  const auto is_empty = [&](std::string_view name) {
    const Chain* chain = find_chain(table, name);
    return chain != nullptr && chain->rules.empty();
  };
  for (const Jump& jump : kJumps) {
    if (!is_meant(jump, steps)) continue;
    if (find_chain(table, jump.from) == nullptr) {
      return fmt::format("its chain {} is gone", jump.from);
    }
    if (is_empty(jump.to)) return fmt::format("its chain {} is empty", jump.to);
  }
  for (const std::string_view chain : {own::kBannedDrop, own::kBannedReject}) {
    if (steps.bans && is_empty(chain)) return fmt::format("its chain {} is empty", chain);
  }
  return "";
}

std::vector<TableChange::RuleAddition> add_run_time_jumps(Table& table, RunTimeSteps steps,
                                                          Adds adds) {
  std::vector<TableChange::RuleAddition> added;
  for (const Jump& jump : kJumps) {
    const auto chain = std::ranges::find(table.chains, jump.from, &Chain::name);
    if (!is_meant(jump, steps) || chain == table.chains.end() ||
        find_chain(table, jump.to) == nullptr ||
        (adds == Adds::WhatIsMissing && has(*chain, jump))) {
      continue;
    }
    const auto at = place_of(jump, *chain);
    const std::uint64_t before = at == chain->rules.end() ? 0 : at->handle;
    Rule rule;
    rule.exprs = {ImmediateVerdict{{VerdictCode::Jump, std::string(jump.to)}}};
    const auto made = chain->rules.insert(at, std::move(rule));
    added.push_back({.chain = static_cast<std::size_t>(chain - table.chains.begin()),
                     .rule = static_cast<std::size_t>(made - chain->rules.begin()),
                     .before = before});
  }
  return added;
}

}  // namespace rolewall::apply
