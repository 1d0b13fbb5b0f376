// What rules leave with a connection is part of a packet's fate where a rule asks for it, and is
// told as no part of it where none does.
#include "analyze/kept.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "analyze/difference.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kKeptIn = 8;
const Expr kAccepts = ImmediateVerdict{{VerdictCode::Accept, "", 0}};
const Expr kDrops = ImmediateVerdict{{VerdictCode::Drop, "", 0}};

Rule does_all(std::vector<Expr> exprs) {
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}
// Of UDP.
Rule writes(CtKey key, std::uint32_t number, Expr verdict = kAccepts) {
  constexpr std::uint8_t kUdpNumber = 17;
  Value value = Value::host_u32(number);
  if (key == CtKey::Labels) value.size = 16;
  return does_all({Meta{MetaKey::L4Proto, kKeptIn}, Cmp{CmpOp::Eq, kKeptIn, Value::u8(kUdpNumber)},
                   Immediate{kKeptIn, value}, CtSet{key, std::nullopt, kKeptIn}, verdict});
}
Rule asks(CtKey key, std::uint32_t number) {
  return does_all(
      {Ct{key, std::nullopt, kKeptIn}, Cmp{CmpOp::Eq, kKeptIn, Value::host_u32(number)}, kAccepts});
}
Rule asks_state() {
  return asks(CtKey::State, ct_state::kEstablished);
}

// Of all packets, before conntrack.
Ruleset before_tracking(Ruleset ruleset, std::vector<Expr> exprs) {
  Chain& chain = ruleset.tables.front().chains.emplace_back();
  chain.name = "raw";
  chain.base = BaseChain{ChainType::Filter, Hook::Prerouting, -300, VerdictCode::Accept, {}};
  chain.rules = {does_all(std::move(exprs))};
  return ruleset;
}
std::vector<Expr> into_zone(std::uint32_t zone) {
  Value value = Value::host_u32(zone);
  value.size = 2;
  return {Immediate{kKeptIn, value}, CtSet{CtKey::Zone, std::nullopt, kKeptIn}};
}

struct Told {
  std::vector<DifferenceKind> kinds;
  std::vector<std::string> not_asked;
};
Told tell(const Ruleset& before, const Ruleset& after) {
  const Host host;
  Difference difference({before, host}, {after, host});
  const auto parts = difference.parts(Direction::Arrive);
  REQUIRE(parts);
  Told told;
  for (const DifferencePart& part : *parts) told.kinds.push_back(part.kind);
  told.not_asked.assign(difference.not_asked().begin(), difference.not_asked().end());
  return told;
}
const std::vector kRemembered{DifferenceKind::Remembered};

TEST_CASE("a connection's mark is part of a packet's fate where a rule asks for it") {
  const Ruleset marks = with_input({writes(CtKey::Mark, 1), asks(CtKey::Mark, 1)});
  CHECK(tell(marks, marks).kinds.empty());
  CHECK(tell(marks, with_input({writes(CtKey::Mark, 2), asks(CtKey::Mark, 1)})).kinds ==
        kRemembered);
  SUBCASE("of a packet that is dropped, if its connection is known") {
    const auto dropped = [](std::uint32_t mark) {
      return with_input({asks(CtKey::Mark, 1), writes(CtKey::Mark, mark, kDrops)});
    };
    CHECK(tell(dropped(1), dropped(2)).kinds == kRemembered);
  }
  SUBCASE("not what it was before it was written anew") {
    Rule twice = writes(CtKey::Mark, 1);
    const Rule first = writes(CtKey::Mark, 2);
    twice.exprs.insert(twice.exprs.begin(), first.exprs.begin(), first.exprs.end() - 1);
    CHECK(tell(marks, with_input({twice, asks(CtKey::Mark, 1)})).kinds.empty());
  }
  SUBCASE("not where none asks") {
    const Told told = tell(with_input({writes(CtKey::Mark, 1), asks_state()}),
                           with_input({writes(CtKey::Mark, 2), asks_state()}));
    CHECK(told.kinds.empty());
    CHECK(told.not_asked == std::vector<std::string>{"the mark of connections"});
  }
}

TEST_CASE("a connection's labels") {
  const auto labels = [](std::uint32_t label, CtKey asked) {
    return with_input({writes(CtKey::Labels, label), asks(asked, 1)});
  };
  Rule asks_labels = asks(CtKey::Labels, 1);
  std::get<Cmp>(asks_labels.exprs[1]).value.size = 16;
  CHECK(tell(with_input({writes(CtKey::Labels, 1), asks_labels}),
             with_input({writes(CtKey::Labels, 2), asks_labels}))
            .kinds == kRemembered);
  CHECK(tell(labels(1, CtKey::Mark), labels(2, CtKey::Mark)).not_asked ==
        std::vector<std::string>{"the labels of connections"});
}

TEST_CASE("whether a connection is tracked, and in which zone") {
  const Ruleset asks_it = with_input({asks_state(), does_all(std::vector<Expr>{kAccepts})});
  const Ruleset asks_nothing = with_input({does_all(std::vector<Expr>{kAccepts})});
  for (const std::vector<Expr>& how : {std::vector<Expr>{Notrack{}}, into_zone(3)}) {
    CHECK(tell(before_tracking(asks_it, how), asks_it).kinds == kRemembered);
    CHECK(tell(before_tracking(asks_nothing, how), asks_nothing).kinds.empty());
  }
  CHECK(
      tell(before_tracking(asks_it, into_zone(3)), before_tracking(asks_it, into_zone(4))).kinds ==
      kRemembered);
  CHECK(tell(before_tracking(asks_it, into_zone(0)), asks_it).kinds.empty());
}

TEST_CASE("a copy of a packet is told of as a line in the log is") {
  const auto copies = [](std::uint8_t last) {
    Ruleset ruleset = with_input({does_all(
        {Immediate{kKeptIn, Value(Bytes{10, 0, 0, last})}, Dup{kKeptIn, std::nullopt}, kAccepts})});
    ruleset.tables.front().family = Family::Ip;
    return ruleset;
  };
  CHECK(tell(copies(1), copies(1)).kinds.empty());
  CHECK(tell(copies(1), copies(2)).kinds == std::vector{DifferenceKind::Logged});
}

}  // namespace
}  // namespace rolewall::analyze
