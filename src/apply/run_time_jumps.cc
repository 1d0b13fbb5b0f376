#include "apply/run_time_jumps.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kJumps{
    {{own::kInput, own::kRunTime}, {own::kForward, own::kBanned}}};

// Where the chain's run-time jump leads, if it is one that has such.
const std::string_view* target_of(const Chain& chain) {
  const auto* at =
      std::ranges::find(kJumps, chain.name, &std::pair<std::string_view, std::string_view>::first);
  return at == kJumps.end() ? nullptr : &at->second;
}

auto find_jump(const Chain& chain, std::string_view target) {
  return std::ranges::find_if(chain.rules, [&](const Rule& rule) {
    const Verdict* last = ruleset::final_verdict(rule);
    return last != nullptr && last->code == VerdictCode::Jump && last->chain == target;
  });
}

bool has_run_time_jump(const Chain& chain) {
  const std::string_view* target = target_of(chain);
  return target != nullptr && find_jump(chain, *target) != chain.rules.end();
}

bool holds_bans(const Set& set) {
  return set.has_timeout && !set.dynamic && !set.elements.empty();
}

}  // namespace

bool wants_run_time_jumps(const Table& table) {
  return std::ranges::any_of(table.sets, holds_bans) ||
         std::ranges::any_of(table.chains, has_run_time_jump);
}

std::vector<TableChange::RuleAddition> add_run_time_jumps(Table& table) {
  std::vector<TableChange::RuleAddition> added;
  for (std::size_t i = 0; i < table.chains.size(); ++i) {
    Chain& chain = table.chains[i];
    const std::string_view* target = target_of(chain);
    if (target == nullptr || has_run_time_jump(chain) || find_chain(table, *target) == nullptr) {
      continue;
    }
    // Without the jump to what is unusual, which somebody took away: before everything else.
    const auto unusual = find_jump(chain, own::kUnusual);
    const auto at = unusual == chain.rules.end() ? chain.rules.begin() : std::next(unusual);
    Rule jump;
    jump.exprs = {ImmediateVerdict{{VerdictCode::Jump, std::string(*target)}}};
    added.push_back({.chain = i,
                     .rule = static_cast<std::size_t>(at - chain.rules.begin()),
                     .before = at == chain.rules.end() ? 0 : at->handle});
    chain.rules.insert(at, std::move(jump));
  }
  return added;
}

}  // namespace rolewall::apply
