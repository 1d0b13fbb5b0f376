#include "analyze/field_order.h"

#include <cstddef>
#include <vector>

#include "ruleset/expr.h"

namespace rolewall::analyze {
namespace {

constexpr std::size_t kPortNumbers = 65'536;
// Of few rules every order makes small diagrams.
constexpr std::size_t kManyRules = 1'000;

struct Load {
  bool is_port = false;
  ruleset::Register to = 0;
};

// The one destination port that the rule asks for. kPortNumbers: none, or several.
std::size_t port_of(const ruleset::Rule& rule) {
  Load load;
  for (const ruleset::Expr& expr : rule.exprs) {
    if (const auto* payload = std::get_if<ruleset::Payload>(&expr)) {
      load = {payload->base == ruleset::PayloadBase::Transport && payload->offset == 2 &&
                  payload->length == 2,
              payload->destination};
    } else if (const auto* cmp = std::get_if<ruleset::Cmp>(&expr)) {
      const bool is_port = load.is_port && cmp->source == load.to && cmp->value.size == 2;
      if (is_port && cmp->op == ruleset::CmpOp::Eq) {
        return std::size_t{cmp->value.bytes[0]} << 8 | cmp->value.bytes[1];
      }
    }
  }
  return kPortNumbers;
}

}  // namespace

// Rules that overlap in their addresses, but hardly in their ports, are told apart by these at
// once. The other way round, as most are, ports first are many times as large.
FieldOrder order_for(const ruleset::Ruleset& ruleset) {
  std::vector<bool> met(kPortNumbers);
  std::size_t rules = 0;
  std::size_t distinct = 0;
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        ++rules;
        const std::size_t port = port_of(rule);
        if (port == kPortNumbers || met[port]) continue;
        met[port] = true;
        ++distinct;
      }
    }
  }
  const bool told_apart = rules >= kManyRules && distinct * 4 >= rules * 3;
  return told_apart ? FieldOrder::PortsFirst : FieldOrder::AddressesFirst;
}

}  // namespace rolewall::analyze
