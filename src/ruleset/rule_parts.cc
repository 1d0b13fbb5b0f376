#include "ruleset/rule_parts.h"

#include <algorithm>

#include "ruleset/expr.h"
#include "ruleset/own_table.h"
#include "ruleset/xt_target.h"

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

bool rejects(const Rule& rule) {
  return reject_of(rule) != nullptr || std::ranges::any_of(rule.exprs, [](const Expr& expr) {
           const auto* target = std::get_if<XtTarget>(&expr);
           return target != nullptr && target->name == "REJECT";
         });
}

bool sends_reset(const Rule& rule, Family table) {
  const Reject* reject = reject_of(rule);
  if (reject != nullptr) return reject->type == RejectType::TcpReset;
  return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
    const auto* target = std::get_if<XtTarget>(&expr);
    if (target == nullptr || target->name != "REJECT") return false;
    const auto meaning = meaning_of(*target);
    return meaning && std::get<XtReject>(*meaning).with == xt_tcp_reset(table == Family::Ip6);
  });
}

bool is_excess(const Chain& chain, std::size_t rule) {
  const Rule& which = chain.rules[rule];
  const std::string& of = which.comment.text();
  if (of.empty() || of.starts_with('(')) return false;
  return chain.name == own::excess_chain(of);
}

const Counter* leading_counter(const Rule& rule) {
  return rule.exprs.empty() ? nullptr : std::get_if<Counter>(&rule.exprs.front());
}

}  // namespace rolewall::ruleset
