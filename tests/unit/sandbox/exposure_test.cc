// Counting what rules that remember have been shown.
#include <doctest/doctest.h>

#include "expectations.h"
#include "ruleset/expr.h"
#include "sandbox/exposure.h"

namespace rolewall::sandbox {
namespace {

using namespace ruleset;

Limit per_second(std::uint32_t burst) {
  return {LimitUnit::Packets, 10, 1, burst, false};
}

Table with_set(Set set) {
  Table table;
  table.sets = {std::move(set)};
  return table;
}

TEST_CASE("patience is the smallest burst") {
  const Table empty;
  CHECK_EQ(patience(empty, of({Counter{}, Log{}, Payload{}})), 0);
  CHECK_EQ(patience(empty, of({per_second(7), per_second(3)})), 3);
  CHECK_EQ(patience(empty, of({per_second(0)})), 5);
  CHECK_EQ(patience(empty, of({Limit{LimitUnit::Bytes, 10, 1, 1000, false}})), 1);
  CHECK_EQ(patience(empty, of({Connlimit{4, true}})), 4);
  CHECK_EQ(patience(empty, of({Unsupported{"numgen", "not modelled"}})), 1);
}

TEST_CASE("a set filled from the packet path") {
  Set set;
  set.name = "sources";
  set.dynamic = true;
  Dynset fill;
  fill.set = "sources";
  fill.op = DynsetOp::Update;
  fill.exprs = {per_second(20)};
  CHECK_EQ(patience(with_set(set), of({fill})), 20);
  set.size = 8;
  CHECK_EQ(patience(with_set(set), of({fill})), 8);

  // What is in it from the beginning leaves less room.
  Set begun = set;
  begun.elements.key_size = 4;
  begun.elements.keys.resize(5 * begun.elements.key_size);
  CHECK_EQ(patience(with_set(begun), of({fill})), 3);
  begun.elements.keys.resize(8 * begun.elements.key_size);
  CHECK_EQ(patience(with_set(begun), of({fill})), 1);

  // Rules that fill the same one share what it allows.
  Table shared = with_set(set);
  shared.chains.resize(1);
  shared.chains[0].rules = {of({fill}), of({Counter{}, fill}), of({fill})};
  CHECK_EQ(patience(shared, of({fill})), 2);
  shared.sets[0].size = 2;
  CHECK_EQ(patience(shared, of({fill})), 1);

  // Where another rule asks whether a source is in it, the second packet can already differ.
  Table table = with_set(set);
  table.chains.resize(1);
  Lookup lookup;
  lookup.set = "sources";
  table.chains[0].rules = {of({lookup})};
  CHECK_EQ(patience(table, of({fill})), 1);
}

// Chain 0 (base): rule 0 jumps to chain 1, rule 1 is limited to a burst of 2, rule 2 drops.
// Chain 1: rule 0 is limited to a burst of 3.
Ruleset limited() {
  Table table;
  table.chains.resize(2);
  table.chains[0].base = BaseChain{};
  table.chains[0].rules = {of({}), of({per_second(2)}), of({})};
  table.chains[1].rules = {of({per_second(3)})};
  return {{table}};
}

Observation way(std::vector<Step> path) {
  Observation seen;
  seen.hooks.push_back({Hook::Input, Fate::Drop, std::move(path)});
  return seen;
}

Step step(std::uint32_t chain, std::uint32_t rule, VerdictCode code) {
  return {0, chain, rule, {code, "", 0}};
}

TEST_CASE("a rule behind the verdict is not shown the packet") {
  Exposure exposure(limited());
  for (int i = 0; i < 100; ++i) exposure.add(way({step(0, 0, VerdictCode::Drop)}));
  CHECK_FALSE(exposure.exhausted());
}

TEST_CASE("a rule that broke before the verdict was shown it") {
  Exposure exposure(limited());
  exposure.add(way({step(0, 2, VerdictCode::Drop)}));
  CHECK_FALSE(exposure.exhausted());
  exposure.add(way({step(0, 2, VerdictCode::Drop)}));
  CHECK(exposure.exhausted());
  exposure.reset();
  CHECK_FALSE(exposure.exhausted());
}

TEST_CASE("so is one before the policy") {
  Exposure exposure(limited());
  for (int i = 0; i < 2; ++i) exposure.add(way({step(0, Step::kEnd, VerdictCode::Drop)}));
  CHECK(exposure.exhausted());
}

TEST_CASE("a chain that was jumped to, with nothing told of it but its end") {
  Exposure exposure(limited());
  const auto seen = way({step(0, 0, VerdictCode::Jump), step(1, Step::kEnd, VerdictCode::Return),
                         step(0, 0, VerdictCode::Accept)});
  exposure.add(seen);
  exposure.add(seen);
  CHECK_FALSE(exposure.exhausted());
  exposure.add(seen);
  CHECK(exposure.exhausted());
}

TEST_CASE("a goto leaves the rules behind it alone") {
  Exposure exposure(limited());
  const auto seen = way({step(0, 0, VerdictCode::Goto), step(1, Step::kEnd, VerdictCode::Return),
                         step(0, Step::kEnd, VerdictCode::Drop)});
  exposure.add(seen);
  exposure.add(seen);
  CHECK_FALSE(exposure.exhausted());  // chain 0's burst of 2 is not touched
}

// Chain 0 (base) jumps twice to chain 1, whose rule has a burst of 3.
TEST_CASE("what one packet may spend twice is new for each") {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.chains.resize(2);
  table.chains[0].base.emplace();
  table.chains[1].name = "twice";
  const Rule jump = of({ImmediateVerdict{{VerdictCode::Jump, "twice", 0}}});
  table.chains[0].rules = {jump, jump};
  table.chains[1].rules = {of({per_second(3)})};
  Observation once;
  once.hooks.emplace_back().path = {
      {.table = 0, .chain = 0, .rule = 0, .verdict = {VerdictCode::Jump, "twice", 0}},
      {.table = 0, .chain = 1, .rule = 0, .verdict = {VerdictCode::Accept, "", 0}}};
  Exposure exposure(ruleset);
  exposure.add(once);
  CHECK(exposure.exhausted());
  table.chains[0].rules.pop_back();
  Exposure single(ruleset);
  single.add(once);
  CHECK_FALSE(single.exhausted());
}

}  // namespace
}  // namespace rolewall::sandbox
