// How long a list of rules takes to become a diagram, and how large it is: processor time, edges
// and nodes, for kinds of rules as public studies have them.
//
// Beside it, where BuDDy (Debian: libbdd-dev) is there, the same list as a decision diagram over
// bits, made by halves, too; and what it takes to find the packets that differ once the rule in the
// middle is gone.
//
//     analyse_rules [RULES]      10,000 of each kind
#include <fmt/format.h>

#include <cstdlib>
#include <ctime>
#include <string_view>

#include "analyze/analysis.h"
#include "analyze/difference.h"
#include "kernel/random.h"
#include "ruleset/expr.h"

#ifdef ROLEWALL_HAS_BUDDY
#include <bdd.h>
#endif

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

double seconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// The rule in the middle is taken away.
void measure_difference(const Ruleset& before) {
  const Host host;
  Ruleset after = before;
  auto& rules = after.tables[0].chains[0].rules;
  rules.erase(rules.begin() + static_cast<std::ptrdiff_t>(rules.size() / 2));
  const std::clock_t start = std::clock();
  analyze::Difference difference({before, host}, {after, host});
  std::size_t parts = 0;
  for (const auto direction : {analyze::Direction::Arrive, analyze::Direction::Send}) {
    const auto found = difference.parts(direction);
    if (!found) {
      fmt::print("       one rule less: not done in {}\n", found.error().why);
      return;
    }
    parts += found->size();
  }
  fmt::print("       one rule less: {:.1f} ms, {} kinds of difference, {} edges\n",
             seconds_since(start) * 1000, parts, difference.diagrams().edges());
}

#ifdef ROLEWALL_HAS_BUDDY
// Variables: protocol, destination, source, port, the highest bit of each first.
bdd equal_bits(int first, int count, std::uint32_t value) {
  bdd all = bddtrue;
  for (int i = count; i-- > 0;) {
    const bool set = (value >> (count - 1 - i) & 1) != 0;
    all &= set ? bdd_ithvar(first + i) : bdd_nithvar(first + i);
  }
  return all;
}

struct Matched {
  bdd any;
  bdd accepted;
};

// As rule_of() makes them.
Matched matched_by(const Rule& rule) {
  bdd box = bddtrue;
  int first = 0;
  int bits = 0;
  for (const Expr& expr : rule.exprs) {
    if (std::holds_alternative<Meta>(expr)) {
      first = 0;
      bits = 8;
    } else if (const auto* payload = std::get_if<Payload>(&expr)) {
      const bool network = payload->base == PayloadBase::Network;
      first = !network ? 72 : payload->offset == 16 ? 8 : 40;
      bits = network ? 32 : 16;
    } else if (const auto* mask = std::get_if<BitwiseMask>(&expr)) {
      bits = 0;
      for (const std::uint8_t byte : mask->mask.bytes) bits += __builtin_popcount(byte);
    } else if (const auto* cmp = std::get_if<Cmp>(&expr)) {
      std::uint32_t value = 0;
      for (std::size_t i = 0; i < cmp->value.size; ++i) value = value << 8 | cmp->value.bytes[i];
      box &= equal_bits(first, bits, value >> (cmp->value.size * 8 - bits));
    }
  }
  const auto& verdict = std::get<ImmediateVerdict>(rule.exprs.back()).verdict;
  return {box, verdict.code == VerdictCode::Accept ? box : bdd(bddfalse)};
}

Matched matched_by(const std::vector<Rule>& rules, std::size_t from, std::size_t to) {
  if (to - from == 1) return matched_by(rules[from]);
  const std::size_t middle = from + (to - from) / 2;
  const Matched first = matched_by(rules, from, middle);
  const Matched rest = matched_by(rules, middle, to);
  return {first.any | rest.any, first.accepted | (rest.accepted - first.any)};
}

void measure_buddy(const std::vector<Rule>& rules) {
  constexpr int kVariables = 88;
  const std::clock_t start = std::clock();
  bdd_init(4'000'000, 1'000'000);
  bdd_gbc_hook(nullptr);
  bdd_setvarnum(kVariables);
  int nodes = 0;
  {
    const Matched all = matched_by(rules, 0, rules.size());
    nodes = bdd_nodecount(all.accepted);
  }
  fmt::print("       BuDDy, by halves: {:.2f} s, {} nodes\n", seconds_since(start), nodes);
  bdd_done();
}
#else
void measure_buddy(const std::vector<Rule>& rules) {
  fmt::print("       BuDDy is not there (libbdd-dev): {} rules are not put to it\n", rules.size());
}
#endif

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
  const double seconds = seconds_since(start);
  fmt::print("{:6} {} rules: {:.2f} s, {} edges, {} steps, {}\n", kind, rules, seconds,
             diagrams.edges(), diagrams.steps(), result);
  measure_difference(ruleset);
  // What overlaps has too many nodes over bits.
  if (kind != "wild") measure_buddy(chain.rules);
}

}  // namespace
}  // namespace rolewall

int main(int count, char** words) {
  const std::uint64_t rules = count > 1 ? std::strtoull(words[1], nullptr, 10) : 10'000;
  for (const char* kind : {"site", "hosts", "wild"}) rolewall::measure(kind, rules);
}
