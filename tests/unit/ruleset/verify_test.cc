#include "ruleset/verify.h"
#include "ruleset/expr.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace rolewall::ruleset {
namespace {

Rule verdict(VerdictCode code, std::string chain) {
  return {0, "", {ImmediateVerdict{{code, std::move(chain), 0}}}};
}

// c0 jumps to c1 jumps to ... `count` chains.
Ruleset line_of_chains(unsigned count) {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.name = "t";
  for (unsigned i = 0; i < count; ++i) {
    Chain& chain = table.chains.emplace_back();
    chain.name = "c" + std::to_string(i);
    if (i + 1 < count) {
      chain.rules.push_back(
          verdict(i % 2 == 0 ? VerdictCode::Jump : VerdictCode::Goto, "c" + std::to_string(i + 1)));
    }
  }
  return ruleset;
}

std::string flaw_of(const Ruleset& ruleset) {
  const auto flaw = verify(ruleset);
  return flaw ? flaw->path + ": " + flaw->what : "";
}

// The kernel counts the chain that it starts from as level 0 and refuses level 16
// (nf_tables_api.c, nft_chain_validate); gotos count as jumps do.
TEST_CASE("jumps as deep as the kernel allows, and no deeper") {
  CHECK_EQ(flaw_of(line_of_chains(16)), "");
  CHECK_EQ(flaw_of(line_of_chains(17)),
           "tables[0].chains[0]: jumps from c0 run in a circle or open 16 frames or more");
}

TEST_CASE("depth is known from whichever chain is asked first") {
  Ruleset ruleset = line_of_chains(17);
  std::reverse(ruleset.tables[0].chains.begin(), ruleset.tables[0].chains.end());
  CHECK_EQ(flaw_of(ruleset),
           "tables[0].chains[16]: jumps from c0 run in a circle or open 16 frames or more");
}

TEST_CASE("a circle, through a rule or through a map") {
  Ruleset ruleset = line_of_chains(3);
  Table& table = ruleset.tables[0];
  table.chains[2].rules.push_back(verdict(VerdictCode::Goto, "c0"));
  CHECK(flaw_of(ruleset).starts_with("tables[0].chains[0]: jumps from c0 run in a circle"));

  table.chains[2].rules[0] = {0, "", {Payload{}, Lookup{"m", 0, LookupResult::Verdict, 0, false}}};
  std::get<Payload>(table.chains[2].rules[0].exprs[0]).length = 2;
  Set& map = table.sets.emplace_back();
  map.name = "m";
  map.kind = SetKind::VerdictMap;
  map.key = {{DataType::InetService, 2}};
  CHECK_EQ(flaw_of(ruleset), "");
  map.elements.has_catch_all = true;
  map.elements.catch_all_verdict = {VerdictCode::Jump, "c1", 0};
  CHECK(flaw_of(ruleset).starts_with("tables[0].chains[0]: jumps from c0 run in a circle"));
}

TEST_CASE("many paths over the same chains are walked once") {
  Ruleset ruleset = line_of_chains(15);
  for (Chain& chain : ruleset.tables[0].chains) {
    if (!chain.rules.empty()) chain.rules.resize(50, chain.rules[0]);
  }
  CHECK_EQ(flaw_of(ruleset), "");  // 50^14 paths
}

TEST_CASE("names are there, once, and not too long") {
  Ruleset ruleset = line_of_chains(2);
  Table& table = ruleset.tables[0];
  table.chains[0].rules.clear();
  table.chains[1].name = "c0";
  CHECK_EQ(flaw_of(ruleset), "tables[0]: two sets, chains or objects bear the same name");
  table.chains[1].name = "";
  CHECK_EQ(flaw_of(ruleset), "tables[0].chains[1]: a chain without a name");
  table.chains[1].name = std::string(256, 'c');
  CHECK_EQ(flaw_of(ruleset), "tables[0].chains[1]: the chain's name is longer than 255 bytes");
  table.name = std::string("a\0b", 3);
  CHECK_EQ(flaw_of(ruleset), "tables[0]: the table's name holds a zero byte");
}

TEST_CASE("objects are there, of the type that is asked for") {
  Ruleset ruleset = line_of_chains(1);
  Table& table = ruleset.tables[0];
  table.objects = {{"hits", 0, object_type::kCounter, Counter{}, ""},
                   {"hits", 0, object_type::kQuota, Quota{}, ""}};
  table.chains[0].rules = {{0, "", {ObjectRef{object_type::kQuota, "hits"}}}};
  CHECK_EQ(flaw_of(ruleset), "");
  table.chains[0].rules[0].exprs = {ObjectRef{object_type::kLimit, "hits"}};
  CHECK_EQ(flaw_of(ruleset),
           "tables[0].chains[0].rules[0].exprs[0]: there is no object hits of type 4");

  Set& map = table.sets.emplace_back();
  map.name = "m";
  map.kind = SetKind::ObjectMap;
  map.object_type = object_type::kCounter;
  map.key = {{DataType::InetService, 2}};
  map.elements.key_size = 2;
  map.elements.keys = {0, 80};
  map.elements.objects = {"hits"};
  table.chains[0].rules[0].exprs = {ObjectLookup{0, "m"}};
  CHECK_EQ(flaw_of(ruleset), "");
  map.elements.objects = {"misses"};
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: there is no object misses of type 1");
  map.elements.objects = {"hits"};
  map.elements.has_catch_all = true;
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: there is no object  of type 1");
  map = {};
  map.name = "m";
  map.key = {{DataType::InetService, 2}};
  CHECK_EQ(flaw_of(ruleset), "tables[0].chains[0].rules[0].exprs[0]: m maps to no objects");

  table.objects[1].type = object_type::kLimit;
  CHECK_EQ(flaw_of(ruleset), "tables[0].objects[1]: type 4, where its body is one of type 2");
  table.objects[1] = table.objects[0];
  CHECK_EQ(flaw_of(ruleset), "tables[0]: two sets, chains or objects bear the same name");
}

TEST_CASE("registers hold 64 bytes") {
  const auto flaw_with = [](Expr expr) {
    Ruleset ruleset = line_of_chains(1);
    ruleset.tables[0].chains[0].rules = {{0, "", {std::move(expr)}}};
    return flaw_of(ruleset);
  };
  CHECK_EQ(flaw_with(Payload{PayloadBase::Network, 0, 64, 0}), "");
  CHECK_EQ(flaw_with(Payload{PayloadBase::Network, 0, 1, 15}), "");
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 65, 0}).ends_with("the registers from 0 on"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 5, 15}).ends_with("the registers from 15 on"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 0, 0}).ends_with("a length of 0"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 256, 1, 0}).ends_with("an offset of 256 bytes"));
  CHECK_EQ(flaw_with(Meta{MetaKey::IifName, 12}), "");
  CHECK(flaw_with(Meta{MetaKey::IifName, 13})
            .ends_with("16 bytes do not fit in the registers "
                       "from 13 on"));
  CHECK(flaw_with(Cmp{CmpOp::Eq, 0, {}}).ends_with("a length of 0"));
  CHECK(flaw_with(Range{false, 0, Value::be16(1), Value::u8(1)}).ends_with("differ in length"));
  CHECK(flaw_with(Limit{}).ends_with("a limit whose rate is 0"));
  CHECK_EQ(flaw_with(Nat{NatKind::Source, 2, Register{15}, {}, Register{14}, {}, 0}), "");
  CHECK(flaw_with(Nat{NatKind::Source, 10, Register{13}, {}, {}, {}, 0})
            .ends_with("16 bytes do not fit in the registers from 13 on"));
  CHECK(flaw_with(Redirect{{}, Register{16}, 0}).ends_with("there is no register 16"));
  CHECK(flaw_with(Fib{FibResult::OifName, 1, 13}).ends_with("the registers from 13 on"));
  CHECK(flaw_with(Xfrm{XfrmKey::Saddr6, XfrmDirection::In, 0, 14}).ends_with("from 14 on"));
}

}  // namespace
}  // namespace rolewall::ruleset
