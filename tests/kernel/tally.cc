#include "tally.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "print/snapshot_fields.h"
#include "ruleset/expr.h"

namespace rolewall::kernel_judge {
namespace {

// Of iptables' own each match and target, and its revision.
std::string name_of(const ruleset::Expr& expr) {
  if (const auto* match = std::get_if<ruleset::XtMatch>(&expr)) {
    return fmt::format("-m {}/{}", match->name, match->revision);
  }
  if (const auto* target = std::get_if<ruleset::XtTarget>(&expr)) {
    return fmt::format("-j {}/{}", target->name, target->revision);
  }
  return std::string(print::type_name(expr));
}

}  // namespace

void Tally::add(const ruleset::Ruleset& ruleset, const eval::Journey& journey) {
  std::set<std::string> ran;
  for (const eval::HookResult& hook : journey.hooks) {
    for (const eval::Step& step : hook.steps) {
      const auto& exprs = ruleset.tables[step.table].chains[step.chain].rules[step.rule].exprs;
      const std::size_t end =
          step.matched ? exprs.size() : std::min<std::size_t>(step.broke_at + 1, exprs.size());
      for (std::size_t i = 0; i < end; ++i) {
        ran.insert(name_of(exprs[i]));
      }
    }
  }
  for (const std::string& name : ran) ++packets_[name];
}

std::string Tally::in_words() const {
  std::string words;
  for (const auto& [name, count] : packets_) {
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", name, count);
  }
  return words;
}

}  // namespace rolewall::kernel_judge
