#include "eval/other_tables.h"

#include <algorithm>
#include <variant>

#include "ruleset/effects.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace r = ruleset;

OtherTables::OtherTables(const Program& program) : program_(program) {
  for (const Program::Table& table : program.tables()) {
    ours_.push_back(r::is_own(*table.table));
    interferes_.emplace_back(table.chains.size());
    reads_.emplace_back();
  }
}

bool OtherTables::interferes(std::uint32_t table, std::uint32_t chain) {
  std::optional<bool>& known = interferes_[table][chain];
  if (known) return *known;
  const Program::Table& in = program_.tables()[table];
  std::vector<bool> seen(in.chains.size());
  std::vector<std::uint32_t> rest{chain};
  const auto lead_to = [&](std::uint32_t next) {
    if (next < in.chains.size()) rest.push_back(next);
  };
  bool any = false;
  while (!rest.empty() && !any) {
    const std::uint32_t now = rest.back();
    rest.pop_back();
    if (seen[now]) continue;
    seen[now] = true;
    for (const Program::Rule& rule : in.chains[now].rules) {
      for (std::size_t i = 0; i < rule.rule->exprs.size(); ++i) {
        const r::Expr& expr = rule.rule->exprs[i];
        any = any || r::is_seen_elsewhere(expr, in.names);
        const r::Ending ending = r::effects_of(expr, in.names).ending;
        if (ending != r::Ending::Verdict && ending != r::Ending::SetVerdict) continue;
        const std::uint32_t operand = program_.operand(rule, i);
        if (const auto* verdict = std::get_if<r::ImmediateVerdict>(&expr)) {
          if (!verdict->verdict.chain.empty()) lead_to(operand);
        } else if (std::holds_alternative<r::Lookup>(expr) && operand < Program::kFirstProblem &&
                   in.sets[operand].partial == nullptr) {
          for (const std::uint32_t target : in.sets[operand].targets) lead_to(target);
          lead_to(in.sets[operand].catch_all_target);
        } else {
          any = true;  // what was not read of a map may lead to any chain
        }
      }
    }
  }
  known = any;
  return any;
}

TrackingRead OtherTables::reads_of_tracking(std::uint32_t table) {
  std::optional<TrackingRead>& known = reads_[table];
  if (known) return *known;
  const Program::Table& in = program_.tables()[table];
  known = TrackingRead::Nothing;
  if (r::tracking_of(in.names) == r::TrackingUse{}) return *known;
  // Its state is what most ask for.
  known = TrackingRead::State;
  const auto asks_for_more = [&](const r::Expr& expr) {
    const auto* ct = std::get_if<r::Ct>(&expr);
    return r::effects_of(expr, in.names).tracking != r::TrackingUse{} &&
           (ct == nullptr || ct->key != r::CtKey::State);
  };
  for (const Program::Chain& chain : in.chains) {
    for (const Program::Rule& rule : chain.rules) {
      if (std::ranges::any_of(rule.rule->exprs, asks_for_more)) known = TrackingRead::Everything;
    }
  }
  const bool has_counts = std::ranges::any_of(in.table->sets, [](const r::Set& set) {
    return !set.exprs.empty() || !set.elements.exprs.empty() || !set.unsupported.empty();
  });
  if (has_counts || !in.table->objects.empty()) known = TrackingRead::Everything;
  return *known;
}

std::vector<std::uint32_t> OtherTables::interfering() {
  std::vector<std::uint32_t> found;
  for (std::uint32_t table = 0; table < program_.tables().size(); ++table) {
    const auto& chains = program_.tables()[table].chains;
    for (std::uint32_t chain = 0; chain < chains.size(); ++chain) {
      if (!chains[chain].chain->base || !interferes(table, chain)) continue;
      found.push_back(table);
      break;
    }
  }
  return found;
}

}  // namespace rolewall::eval
