#include "sandbox/watch.h"

#include <array>
#include <limits>
#include <string>
#include <utility>
#include <variant>

#include "ruleset/expr.h"
#include "ruleset/rule_parts.h"

namespace rolewall::sandbox::watch {
namespace {

using namespace ruleset;

struct GateChain {
  Gate gate;
  std::string_view name;
};

constexpr std::array kGates = {
    GateChain{{Hook::Prerouting, End::First}, "prerouting-first"},
    GateChain{{Hook::Prerouting, End::Last}, "prerouting-last"},
    GateChain{{Hook::Input, End::First}, "input-first"},
    GateChain{{Hook::Input, End::Last}, "input-last"},
    GateChain{{Hook::Forward, End::First}, "forward-first"},
    GateChain{{Hook::Forward, End::Last}, "forward-last"},
    GateChain{{Hook::Output, End::First}, "output-first"},
    GateChain{{Hook::Output, End::Last}, "output-last"},
    GateChain{{Hook::Postrouting, End::First}, "postrouting-first"},
    GateChain{{Hook::Postrouting, End::Last}, "postrouting-last"},
};

// The first but one: what a bridge has shown to prerouting, br_netfilter's own hook keeps from
// running it again (ip_sabotage_in()). The last before conntrack's own hook at the very end, which
// enters the connection in its table: for IPv4 at the greatest number, for IPv6 at the one before.
constexpr std::int32_t kFirstPriority = std::numeric_limits<std::int32_t>::min() + 1;
constexpr std::int32_t kLastPriority = std::numeric_limits<std::int32_t>::max() - 2;

constexpr Register kRegister = 0;

std::vector<Expr> where_mark(std::uint32_t mask, CmpOp op, std::uint32_t value) {
  return {Meta{MetaKey::Mark, kRegister},
          BitwiseMask{kRegister, kRegister, 4, Value::host_u32(mask), Value::host_u32(0)},
          Cmp{op, kRegister, Value::host_u32(value)}};
}

Expr drop() {
  return ImmediateVerdict{Verdict{VerdictCode::Drop, {}, 0}};
}

Rule drop_where_mark(std::uint32_t mask, CmpOp op, std::uint32_t value) {
  Rule rule;
  rule.exprs = where_mark(mask, op, value);
  rule.exprs.push_back(drop());
  return rule;
}

Rule set_meta(MetaKey key, const Value& value) {
  Rule rule;
  rule.exprs = {Immediate{kRegister, value}, MetaSet{key, kRegister}};
  return rule;
}

Rule log_whole_packet() {
  Log log;
  log.group = kLogGroup;
  log.snaplen = 0;  // whole
  log.queue_threshold = 1;
  Rule rule;
  rule.exprs = {log};
  return rule;
}

Rule count() {
  Rule rule;
  rule.exprs = {Counter{}};
  return rule;
}

// The trace's first message, of the second rule, carries the mark. A watch that counts traces the
// fences alone.
std::vector<Rule> entrance(Means means) {
  Rule trace = set_meta(MetaKey::NfTrace, Value::u8(1));
  if (means == Means::Counters) {
    const auto fence = where_mark(kFence, CmpOp::Neq, 0);
    trace.exprs.insert(trace.exprs.begin(), fence.begin(), fence.end());
  }
  std::vector<Rule> rules = {drop_where_mark(kOursMask, CmpOp::Neq, kOurs), std::move(trace),
                             drop_where_mark(kFence, CmpOp::Neq, 0),
                             set_meta(MetaKey::Mark, Value::host_u32(0))};
  if (means == Means::Counters) rules.push_back(count());
  return rules;
}

std::vector<Rule> rules_of(const Gate& gate, Means means) {
  const bool entry = gate.hook == Hook::Prerouting || gate.hook == Hook::Output;
  const bool exit = gate.hook == Hook::Input || gate.hook == Hook::Postrouting;
  if (gate.end == End::First && entry) return entrance(means);
  std::vector<Rule> rules;
  if (means == Means::Counters) rules.push_back(count());
  if (gate.end == End::Last && exit) {
    const bool tells = means == Means::Look || means == Means::Follow;
    Rule& rule = rules.emplace_back(tells ? log_whole_packet() : Rule{});
    if (means != Means::Follow) rule.exprs.push_back(drop());
  }
  return rules;
}

}  // namespace

Table table(Means means) {
  Table table;
  table.family = Family::Inet;
  table.name = kTable;
  for (const auto& [gate, name] : kGates) {
    Chain chain;
    chain.name = name;
    chain.base = BaseChain{ChainType::Filter,
                           gate.hook,
                           gate.end == End::First ? kFirstPriority : kLastPriority,
                           VerdictCode::Accept,
                           {}};
    chain.rules = rules_of(gate, means);
    table.chains.push_back(std::move(chain));
  }
  return table;
}

bool passed(const Table& table, const Gate& gate) {
  for (const auto& [known, name] : kGates) {
    const Chain* chain = known == gate ? find_chain(table, name) : nullptr;
    if (chain == nullptr) continue;
    for (const Rule& rule : chain->rules) {
      const Counter* counter = ruleset::leading_counter(rule);
      if (counter != nullptr && counter->packets > 0) return true;
    }
  }
  return false;
}

std::optional<Gate> gate(std::string_view chain) {
  for (const auto& [gate, name] : kGates) {
    if (name == chain) return gate;
  }
  return std::nullopt;
}

}  // namespace rolewall::sandbox::watch
