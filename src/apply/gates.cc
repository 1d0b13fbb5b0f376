#include "apply/gates.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace rolewall::apply {
namespace {

using namespace ruleset;

// Names as compile/ gives them (base_chains.cc).
struct Gate {
  std::string_view chain;
  std::string_view leads_to;
};
constexpr std::array<Gate, 2> kGates{
    {{"inbound/run-time", "run-time"}, {"forwarding/run-time", "banned"}}};

const Gate* gate_of(const Chain& chain) {
  const auto* at = std::ranges::find(kGates, chain.name, &Gate::chain);
  return at == kGates.end() ? nullptr : at;
}

bool holds_bans(const Set& set) {
  return set.has_timeout && !set.dynamic && !set.elements.empty();
}

}  // namespace

bool wants_open_gates(const Table& table) {
  return std::ranges::any_of(table.sets, holds_bans) ||
         std::ranges::any_of(table.chains, [](const Chain& chain) {
           return gate_of(chain) != nullptr && !chain.rules.empty();
         });
}

std::vector<std::size_t> open_gates(Table& table) {
  std::vector<std::size_t> opened;
  for (std::size_t i = 0; i < table.chains.size(); ++i) {
    Chain& chain = table.chains[i];
    const Gate* gate = gate_of(chain);
    if (gate == nullptr || !chain.rules.empty()) continue;
    Rule jump;
    jump.exprs = {ImmediateVerdict{{VerdictCode::Jump, std::string(gate->leads_to)}}};
    chain.rules.push_back(std::move(jump));
    opened.push_back(i);
  }
  return opened;
}

}  // namespace rolewall::apply
