// Rulesets that are made to cost: each ends in words, not in a crash or for ever.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>

#include "analyze/analysis.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

Rule rule_of(ExprList exprs) {
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}

std::string why_not(const Ruleset& ruleset, Budget budget) {
  const Host host;
  Analysis analysis(ruleset, host, budget);
  constexpr std::array<Fate, 1> kAccepted{Fate::Accept};
  const auto answer = analysis.may(Direction::Arrive, kAccepted);
  return answer ? "" : answer.error().why;
}

TEST_CASE("as many choices as rules") {
  const Rule limited = rule_of(
      {Limit{LimitUnit::Packets, 1, 1, 5, false}, ImmediateVerdict{{VerdictCode::Accept, "", 0}}});
  CHECK(why_not(with_input(std::vector<Rule>(20'000, limited)), {}) ==
        fmt::format("{} fields", Diagrams::kMostFields));
  CHECK(why_not(with_input(std::vector<Rule>(2'000, limited)), {}) == "");
}

TEST_CASE("chains that branch without end, and share nothing") {
  Ruleset ruleset = with_input({});
  Table& table = ruleset.tables.front();
  for (int depth = 0; depth < 15; ++depth) {
    Chain chain;
    chain.name = fmt::format("c{}", depth);
    if (depth == 0) {
      chain.rules.push_back(rule_of({Limit{LimitUnit::Packets, 1, 1, 5, false}}));
    }
    for (int i = 0; i < 30 && depth > 0; ++i) {
      chain.rules.push_back(
          rule_of({ImmediateVerdict{{VerdictCode::Jump, fmt::format("c{}", depth - 1), 0}}}));
    }
    table.chains.push_back(std::move(chain));
  }
  table.chains.front().rules = {rule_of({ImmediateVerdict{{VerdictCode::Jump, "c14", 0}}})};
  const std::string why = why_not(ruleset, {.edges = 1'000'000, .steps = 3'000'000});
  CHECK((why == "3000000 steps" || why == fmt::format("{} fields", Diagrams::kMostFields)));
}

}  // namespace
}  // namespace rolewall::analyze
