#include "sandbox/watch.h"

#include <array>
#include <limits>
#include <string>

namespace rolewall::sandbox::watch {
namespace {

using namespace ruleset;

struct GateChain {
  Gate gate;
  std::string_view name;
};

// Nothing is forwarded in a sandbox.
constexpr std::array kGates = {
    GateChain{{Hook::Prerouting, End::First}, "prerouting-first"},
    GateChain{{Hook::Prerouting, End::Last}, "prerouting-last"},
    GateChain{{Hook::Input, End::First}, "input-first"},
    GateChain{{Hook::Input, End::Last}, "input-last"},
    GateChain{{Hook::Output, End::First}, "output-first"},
    GateChain{{Hook::Output, End::Last}, "output-last"},
    GateChain{{Hook::Postrouting, End::First}, "postrouting-first"},
    GateChain{{Hook::Postrouting, End::Last}, "postrouting-last"},
};

// The last before conntrack's own hook at the very end, which enters the connection in its table:
// for IPv4 at the greatest number, for IPv6 at the one before.
constexpr std::int32_t kFirstPriority = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kLastPriority = std::numeric_limits<std::int32_t>::max() - 2;

constexpr Register kRegister = 0;

Rule drop_where_mark(std::uint32_t mask, CmpOp op, std::uint32_t value) {
  Rule rule;
  rule.exprs = {Meta{MetaKey::Mark, kRegister},
                BitwiseMask{kRegister, kRegister, 4, Value::host_u32(mask), Value::host_u32(0)},
                Cmp{op, kRegister, Value::host_u32(value)},
                ImmediateVerdict{Verdict{VerdictCode::Drop, {}, 0}}};
  return rule;
}

Rule set_meta(MetaKey key, const Value& value) {
  Rule rule;
  rule.exprs = {Immediate{kRegister, value}, MetaSet{key, kRegister}};
  return rule;
}

Rule drop() {
  Rule rule;
  rule.exprs = {ImmediateVerdict{Verdict{VerdictCode::Drop, {}, 0}}};
  return rule;
}

// The trace's first message, of the second rule, carries the mark.
std::vector<Rule> entrance() {
  return {drop_where_mark(kOursMask, CmpOp::Neq, kOurs), set_meta(MetaKey::NfTrace, Value::u8(1)),
          drop_where_mark(kFence, CmpOp::Neq, 0), set_meta(MetaKey::Mark, Value::host_u32(0))};
}

std::vector<Rule> rules_of(const Gate& gate) {
  const bool entry = gate.hook == Hook::Prerouting || gate.hook == Hook::Output;
  if (gate.end == End::First) return entry ? entrance() : std::vector<Rule>{};
  return entry ? std::vector<Rule>{} : std::vector<Rule>{drop()};
}

}  // namespace

Table table() {
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
    chain.rules = rules_of(gate);
    table.chains.push_back(std::move(chain));
  }
  return table;
}

std::optional<Gate> gate(std::string_view chain) {
  for (const auto& [gate, name] : kGates) {
    if (name == chain) return gate;
  }
  return std::nullopt;
}

}  // namespace rolewall::sandbox::watch
