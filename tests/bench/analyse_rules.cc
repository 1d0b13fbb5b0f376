// How long a list of rules takes to become a diagram, and how large it is: processor time, edges
// and nodes, for kinds of rules as public studies have them.
//
//     analyse_rules [RULES]      10,000 of each kind
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string_view>

#include "analyze/analysis.h"
#include "kernel/random.h"
#include "ruleset/expr.h"

namespace rolewall {
namespace {

using kernel_judge::Random;
using namespace ruleset;  // NOLINT: the file is made of its names

constexpr Register kReg = 8;

Value word(std::uint32_t number) {
  return Value(std::vector<std::uint8_t>{
      static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
      static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

struct Net {
  std::uint32_t address = 0;
  unsigned length = 0;  // 0: any
};

void match_net(ExprList& exprs, std::uint32_t offset, const Net& net) {
  if (net.length == 0) return;
  const std::uint32_t mask = ~std::uint32_t{0} << (32 - net.length);
  exprs.push_back(Payload{PayloadBase::Network, offset, 4, kReg});
  if (net.length < 32) exprs.push_back(BitwiseMask{kReg, kReg, 4, word(mask), word(0)});
  exprs.push_back(Cmp{CmpOp::Eq, kReg, word(net.address & mask)});
}

// Of 100 networks and hosts in them, 60 services, mostly accepted; each rule its own prefixes and
// port; anything, overlapping.
Rule rule_of(std::string_view kind, Random& random) {
  ExprList exprs;
  const bool site = kind == "site";
  const auto net = [&]() -> Net {
    const auto any = static_cast<std::uint32_t>(random.next());
    if (!site) return {any, kind == "wild" ? 8 + random.below(25) : 24 + random.below(9)};
    const std::uint32_t network = 0x0a000000 | random.below(100) << 16;
    return random.percent(50) ? Net{network, 16} : Net{network | random.below(250), 32};
  };
  exprs.push_back(Meta{MetaKey::L4Proto, kReg});
  exprs.push_back(Cmp{CmpOp::Eq, kReg, Value::u8(random.percent(80) ? 6 : 17)});
  const bool one_any = kind == "wild";
  const bool source_any = one_any && random.percent(50);
  match_net(exprs, 12, source_any ? Net{} : net());
  match_net(exprs, 16, one_any && !source_any ? Net{} : net());
  const auto port = static_cast<std::uint16_t>(site ? random.below(60) * 100 + 22 : random.word());
  exprs.push_back(Payload{PayloadBase::Transport, 2, 2, kReg});
  exprs.push_back(Cmp{CmpOp::Eq, kReg, Value::be16(port)});
  const unsigned accepted = site ? 85 : 50;
  const VerdictCode code = random.percent(accepted) ? VerdictCode::Accept : VerdictCode::Drop;
  exprs.push_back(ImmediateVerdict{{code, "", 0}});
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}

void measure(std::string_view kind, std::uint64_t rules) {
  Random random(1);
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.family = Family::Ip;
  table.name = "t";
  Chain& chain = table.chains.emplace_back();
  chain.name = "input";
  chain.base = BaseChain{ChainType::Filter, Hook::Input, 0, VerdictCode::Drop, {}};
  for (std::uint64_t i = 0; i < rules; ++i) chain.rules.push_back(rule_of(kind, random));
  const Host host;
  const std::clock_t start = std::clock();
  analyze::Diagrams diagrams;
  analyze::PacketSpace space(diagrams, true);
  analyze::Machine machine(diagrams, space, ruleset, host);
  std::string result;
  try {
    const analyze::Diagram all = machine.run(0, 0, Hook::Input, 0);
    result = fmt::format("{} nodes", diagrams.node_count(all));
  } catch (const analyze::BudgetEnded& ended) {
    result = "not done in " + ended.what;
  }
  const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  fmt::print("{:6} {} rules: {:.2f} s, {} edges, {} steps, {}\n", kind, rules, seconds,
             diagrams.edges(), diagrams.steps(), result);
}

}  // namespace
}  // namespace rolewall

int main(int count, char** words) {
  const std::uint64_t rules = count > 1 ? std::strtoull(words[1], nullptr, 10) : 10'000;
  for (const char* kind : {"site", "hosts", "wild"}) rolewall::measure(kind, rules);
}
