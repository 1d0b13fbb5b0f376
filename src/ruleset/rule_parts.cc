#include "ruleset/rule_parts.h"

#include "ruleset/expr.h"

namespace rolewall::ruleset {

const Verdict* final_verdict(const Rule& rule) {
  if (rule.exprs.empty()) return nullptr;
  const auto* last = std::get_if<ImmediateVerdict>(&rule.exprs.back());
  return last == nullptr ? nullptr : &last->verdict;
}

const Reject* reject_of(const Rule& rule) {
  for (const Expr& expr : rule.exprs) {
    if (const auto* reject = std::get_if<Reject>(&expr)) return reject;
  }
  return nullptr;
}

const Counter* leading_counter(const Rule& rule) {
  return rule.exprs.empty() ? nullptr : std::get_if<Counter>(&rule.exprs.front());
}

}  // namespace rolewall::ruleset
