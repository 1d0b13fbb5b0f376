// What a ruleset tells of the order at one priority, and whether it matters.
#include "ruleset/hook_order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ruleset/expr.h"

namespace rolewall::ruleset {
namespace {

using Kind = HookEntry::Kind;

Rule made_of(std::vector<Expr> exprs) {
  Rule rule;
  for (Expr& expr : exprs) rule.exprs.push_back(std::move(expr));
  return rule;
}
Rule that(VerdictCode code) {
  return made_of({ImmediateVerdict{{code, "", 0}}});
}
Rule that_marks() {
  return made_of({MetaSet{MetaKey::Mark, 8}});
}
Rule that_tracks() {
  return made_of({Ct{CtKey::State, std::nullopt, 8}});
}
Rule that_rejects() {
  return made_of({Reject{}});
}

Chain chain(std::string name, std::vector<Rule> rules, ChainType type = ChainType::Filter,
            std::int32_t priority = 0) {
  Chain made;
  made.name = std::move(name);
  made.base = BaseChain{type, Hook::Prerouting, priority, VerdictCode::Accept, {}};
  made.rules = std::move(rules);
  return made;
}
Table table(std::string name, std::vector<Chain> chains) {
  Table made;
  made.name = std::move(name);
  made.chains = std::move(chains);
  return made;
}

// All base chains that do not translate, and the kernel's own parts.
struct Ordered {
  std::string stands;  // "a b NAT"
  std::vector<UnknownOrder> unknown;
};
Ordered order_of(const std::vector<Table>& tables, std::vector<HookEntry> own = {}) {
  std::vector<TableIndex> names;
  for (const Table& each : tables) names.emplace_back(each);
  std::vector<const TableIndex*> all;
  for (const TableIndex& each : names) all.push_back(&each);
  std::vector<HookEntry> entries = std::move(own);
  for (std::uint32_t t = 0; t < tables.size(); ++t) {
    for (std::uint32_t c = 0; c < tables[t].chains.size(); ++c) {
      const auto& base = tables[t].chains[c].base;
      if (base && base->type != ChainType::Nat) {
        entries.push_back({base->priority, Kind::Chain, t, c});
      }
    }
  }
  HookEntries made = HookOrder(all).of(std::move(entries));
  Ordered ordered{{}, std::move(made.unknown)};
  for (const HookEntry& entry : made.entries) {
    const bool is_chain = entry.kind == Kind::Chain;
    ordered.stands += ordered.stands.empty() ? "" : " ";
    ordered.stands += is_chain ? tables[entry.table].chains[entry.chain].name : "own";
  }
  return ordered;
}

const HookEntry kNat{0, Kind::Nat};
const HookEntry kTracking{0, Kind::Conntrack};

TEST_CASE("of one table the newer chain runs first, and nothing is unknown") {
  const Ordered ordered =
      order_of({table("t", {chain("a", {that(VerdictCode::Drop)}), chain("b", {that_marks()})})});
  CHECK_EQ(ordered.stands, "b a");
  CHECK(ordered.unknown.empty());
}

TEST_CASE("between tables it is not known, and matters where one sees what the other does") {
  const auto between = [](Rule one, Rule two) {
    return order_of({table("s", {chain("a", {std::move(one)})}),
                     table("t", {chain("b", {std::move(two)})})})
        .unknown;
  };
  const auto found = between(that(VerdictCode::Drop), that_marks());
  REQUIRE_EQ(found.size(), 1);
  CHECK_EQ(found[0].about, "the order of chain inet t b and chain inet s a, both at priority 0");
  CHECK(found[0].orders == std::vector<std::vector<std::uint32_t>>{{0, 1}, {1, 0}});
  CHECK(found[0].answer ==
        std::vector<std::string>{"chain inet t b first", "chain inet s a first"});
  CHECK(found[0].matters_now);
  CHECK(between(that(VerdictCode::Drop), that(VerdictCode::Accept)).empty());
  CHECK(between(that(VerdictCode::Drop), that(VerdictCode::Drop)).empty());
  CHECK_EQ(between(that(VerdictCode::Drop), that_rejects()).size(), 1);
  CHECK(between(that(VerdictCode::Accept), that_rejects()).empty());
}

TEST_CASE("what one remembers of packets matters to later ones alone") {
  const auto found = order_of({table("s", {chain("a", {made_of({Limit{}})})}),
                               table("t", {chain("b", {that(VerdictCode::Drop)})})})
                         .unknown;
  REQUIRE_EQ(found.size(), 1);
  CHECK_FALSE(found[0].matters_now);
}

TEST_CASE("what a chain jumps to is its own deed") {
  Table one = table("s", {chain("a", {made_of({ImmediateVerdict{{VerdictCode::Jump, "c", 0}}})})});
  Chain called;
  called.name = "c";
  called.rules = {that_marks()};
  one.chains.push_back(called);
  const Table other = table("t", {chain("b", {that(VerdictCode::Drop)})});
  CHECK_EQ(order_of({one, other}).unknown.size(), 1);
  one.chains[1].rules = {that(VerdictCode::Drop)};
  CHECK(order_of({one, other}).unknown.empty());
}

TEST_CASE("a chain behind an older nat chain of its table runs before NAT") {
  const Chain nat = chain("n", {that(VerdictCode::Accept)}, ChainType::Nat, -100);
  const Chain filter = chain("a", {that(VerdictCode::Drop)});
  const Ordered known = order_of({table("t", {nat, filter})}, {kNat});
  CHECK_EQ(known.stands, "a own");
  CHECK(known.unknown.empty());
  const Ordered unknown = order_of({table("t", {filter, nat})}, {kNat});
  CHECK_EQ(unknown.stands, "own a");
  REQUIRE_EQ(unknown.unknown.size(), 1);
  CHECK_EQ(unknown.unknown[0].about, "the order of NAT and chain inet t a, both at priority 0");
  CHECK(order_of({table("t", {chain("a", {}), nat})}, {kNat}).unknown.empty());
}

TEST_CASE("connection tracking's order matters to what asks for connections") {
  CHECK(
      order_of({table("t", {chain("a", {that(VerdictCode::Drop)})})}, {kTracking}).unknown.empty());
  CHECK_EQ(order_of({table("t", {chain("a", {that_tracks()})})}, {kTracking}).unknown.size(), 1);
  CHECK_EQ(order_of({table("t", {chain("a", {made_of({Notrack{}})})})}, {kTracking}).unknown.size(),
           1);
}

TEST_CASE("orders that differ in what does not matter are one; too many are said to be") {
  std::vector<Table> tables{table("s", {chain("a", {that_marks()})}),
                            table("t", {chain("b", {that_marks()})})};
  for (const char* plain : {"p", "q", "r"}) tables.push_back(table(plain, {chain(plain, {})}));
  REQUIRE_EQ(order_of(tables).unknown.size(), 1);
  CHECK_EQ(order_of(tables).unknown[0].orders.size(), 2);
  for (const char* more : {"u", "v", "w", "x", "y"}) {
    tables.push_back(table(more, {chain(more, {that_marks()})}));
  }
  const auto many = order_of(tables).unknown;
  REQUIRE_EQ(many.size(), 1);
  CHECK_FALSE(many[0].complete);
  // Many of one table in its order, and as many that nothing comes of.
  std::vector<Chain> chains;
  for (int i = 0; i < 100; ++i) chains.push_back(chain("c" + std::to_string(i), {that_marks()}));
  for (int i = 0; i < 100; ++i) chains.push_back(chain("d" + std::to_string(i), {}));
  CHECK(order_of({table("t", chains)}).unknown.empty());
}

}  // namespace
}  // namespace rolewall::ruleset
