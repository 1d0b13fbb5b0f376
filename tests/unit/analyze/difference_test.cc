// What differs between two small rulesets, by its kind.
#include "analyze/difference.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "ruleset/expr.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names

// A chain that logs all, and then does as its policy says.
Ruleset that_logs(Hook hook, VerdictCode policy) {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.name = "t";
  Chain& chain = table.chains.emplace_back();
  chain.name = "all";
  chain.base = BaseChain{ChainType::Filter, hook, 0, policy, {}};
  Rule& rule = chain.rules.emplace_back();
  rule.exprs = {Log{}};
  return ruleset;
}

bool has_kind(Direction direction, Hook hook, DifferenceKind kind) {
  const Host host;
  const Ruleset before = that_logs(hook, VerdictCode::Accept);
  const Ruleset after = that_logs(hook, VerdictCode::Drop);
  Difference difference({before, host}, {after, host});
  const auto parts = difference.parts(direction);
  REQUIRE(parts);
  return std::ranges::any_of(*parts, [&](const DifferencePart& part) { return part.kind == kind; });
}

// A multicast packet with no hop left goes nowhere whatever a chain lets through; nor does what
// comes from an address that nobody has.
TEST_CASE("what the stack discards was logged before, as what a chain drops") {
  CHECK(has_kind(Direction::Send, Hook::Output, DifferenceKind::NewlyDenied));
  CHECK_FALSE(has_kind(Direction::Send, Hook::Output, DifferenceKind::Logged));
  CHECK(has_kind(Direction::Arrive, Hook::Prerouting, DifferenceKind::NewlyDenied));
  CHECK_FALSE(has_kind(Direction::Arrive, Hook::Prerouting, DifferenceKind::Logged));
}

}  // namespace
}  // namespace rolewall::analyze
