// Two rulesets may share what is free only where what determines it is the same in both.
#include "analyze/remembered.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "analyze/difference.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kLoaded = 8;
constexpr Register kRememberedKey = 9;

Expr does(VerdictCode code) {
  return ImmediateVerdict{{code, "", 0}};
}

// Of TCP to one port: the rest.
Rule to_port(std::uint16_t port, std::vector<Expr> rest) {
  constexpr std::uint8_t kTcpNumber = 6;
  std::vector<Expr> exprs{Meta{MetaKey::L4Proto, kLoaded},
                          Cmp{CmpOp::Eq, kLoaded, Value::u8(kTcpNumber)},
                          Meta{MetaKey::NfProto, kLoaded},
                          Cmp{CmpOp::Eq, kLoaded, Value::u8(2)},
                          Payload{PayloadBase::Transport, 2, 2, kLoaded},
                          Cmp{CmpOp::Eq, kLoaded, Value::be16(port)},
                          Payload{PayloadBase::Network, 12, 4, kRememberedKey}};
  exprs.insert(exprs.end(), rest.begin(), rest.end());
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}

Rule reads(std::uint16_t port) {
  Lookup lookup;
  lookup.set = "s";
  lookup.source = kRememberedKey;
  return to_port(port, {lookup, does(VerdictCode::Accept)});
}
Rule adds(std::uint16_t port, std::uint64_t timeout_ms = 10'000, DynsetOp op = DynsetOp::Add) {
  Dynset dynset;
  dynset.op = op;
  dynset.set = "s";
  dynset.key = kRememberedKey;
  dynset.timeout_ms = timeout_ms;
  return to_port(port, {dynset, does(VerdictCode::Drop)});
}

Ruleset with_set(std::vector<Rule> rules) {
  Ruleset ruleset = with_input(std::move(rules));
  Set& set = ruleset.tables.front().sets.emplace_back();
  set.name = "s";
  set.key = {{DataType::Ipv4Address, 4}};
  set.dynamic = true;
  set.has_timeout = true;
  set.size = 500;
  set.elements.key_size = 4;
  return ruleset;
}

struct Found {
  std::vector<DifferenceKind> kinds;
  std::vector<std::string> unlike;
  bool is_equivalent() const { return kinds.empty() && unlike.empty(); }
  bool has(DifferenceKind kind) const { return std::ranges::find(kinds, kind) != kinds.end(); }
};

Found compare(const Ruleset& before, const Ruleset& after, const Host& was = {},
              const Host& is = {}) {
  Difference difference({before, was}, {after, is});
  Found found;
  for (const Direction direction : {Direction::Arrive, Direction::Send}) {
    const auto parts = difference.parts(direction);
    REQUIRE(parts);
    for (const DifferencePart& part : *parts) found.kinds.push_back(part.kind);
  }
  found.unlike = difference.unlike();
  return found;
}

TEST_CASE("what rules write to a set that others ask is part of a packet's fate") {
  const Ruleset before = with_set({reads(22), adds(1000)});
  CHECK(compare(before, before).is_equivalent());
  SUBCASE("by another port") {
    CHECK(compare(before, with_set({reads(22), adds(2000)})).has(DifferenceKind::Remembered));
  }
  SUBCASE("for another time") {
    const Ruleset after = with_set({reads(22), adds(1000, 864'000'000)});
    CHECK(compare(before, after).has(DifferenceKind::Remembered));
  }
  SUBCASE("by a rule that takes away") {
    const Ruleset after = with_set({reads(22), adds(1000), adds(1001, 0, DynsetOp::Delete)});
    CHECK(compare(before, after).has(DifferenceKind::Remembered));
  }
  SUBCASE("not where an earlier rule ends it") {
    const Ruleset after =
        with_set({reads(22), to_port(1000, {does(VerdictCode::Drop)}), adds(1000)});
    CHECK(compare(before, after).has(DifferenceKind::Remembered));
  }
  SUBCASE("before or after it is asked") {
    const Ruleset asks_first = with_set({reads(22), adds(22)});
    const Ruleset asks_last = with_set({adds(22), reads(22)});
    const Found found = compare(asks_first, asks_last);
    CHECK_FALSE(found.is_equivalent());
    CHECK_FALSE(found.has(DifferenceKind::Remembered));  // for it is not as before
  }
  SUBCASE("an edit elsewhere changes nothing of it") {
    const Ruleset after =
        with_set({reads(22), adds(1000), to_port(80, {does(VerdictCode::Accept)})});
    const Found found = compare(before, after);
    CHECK(found.has(DifferenceKind::NewlyAccepted));
    CHECK_FALSE(found.has(DifferenceKind::Remembered));
    CHECK(found.unlike.empty());
  }
}

TEST_CASE("a set that rules fill begins alike, or nothing is proven by it") {
  const Ruleset before = with_set({reads(22), adds(1000)});
  Ruleset after = before;
  Set& set = after.tables.front().sets.front();
  SUBCASE("its size") {
    set.size = 5;
  }
  SUBCASE("its elements' time") {
    set.timeout_ms = 1'000;
  }
  SUBCASE("its elements") {
    set.elements.keys = {1, 1, 1, 1};
  }
  CHECK(compare(before, after).unlike.size() == 1);
}

TEST_CASE("a limit with a name that another rule spends") {
  const auto ruleset = [](bool spends) {
    ObjectRef limit;
    limit.type = object_type::kLimit;
    limit.name = "l";
    std::vector<Expr> first{limit, does(VerdictCode::Drop)};
    if (!spends) first.erase(first.begin());
    Ruleset all = with_input({to_port(9, first), to_port(22, {limit, does(VerdictCode::Accept)})});
    Object& object = all.tables.front().objects.emplace_back();
    object.name = "l";
    object.type = object_type::kLimit;
    object.body = Limit{LimitUnit::Packets, 5, 60, 5, false};
    return all;
  };
  CHECK(compare(ruleset(true), ruleset(true)).is_equivalent());
  CHECK(compare(ruleset(true), ruleset(false)).has(DifferenceKind::Remembered));
}

// A chain of a device.
Ruleset with_device_chain(std::string device, std::vector<Expr> exprs) {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.family = Family::Netdev;
  table.name = "t";
  Chain& chain = table.chains.emplace_back();
  chain.name = "i";
  chain.base =
      BaseChain{ChainType::Filter, Hook::Ingress, 0, VerdictCode::Accept, {std::move(device)}};
  Rule rule;
  rule.exprs = std::move(exprs);
  chain.rules.push_back(std::move(rule));
  return ruleset;
}

TEST_CASE("chains of devices are not compared, and said where they differ") {
  const Expr drop = does(VerdictCode::Drop);
  const Expr load = Meta{MetaKey::L4Proto, kLoaded};
  const Expr udp = Cmp{CmpOp::Eq, kLoaded, Value::u8(17)};
  const Ruleset before = with_device_chain("a0", {drop});
  CHECK(compare(before, before).is_equivalent());
  CHECK(compare(before, with_device_chain("b0", {drop})).unlike.size() == 1);
  CHECK(compare(before, with_device_chain("a0", {load, udp, drop})).unlike.size() == 1);
  CHECK(compare(before, Ruleset{}).unlike.size() == 1);
}

TEST_CASE("what a set of ip_set holds is compared by its elements") {
  const XtMatch in_set{"set", 1, {3, 0, 1, 2, 0, 0, 0, 0}};
  const Ruleset ruleset = with_input({to_port(22, {in_set, does(VerdictCode::Drop)})});
  const auto host = [](std::vector<std::string> lines) {
    Host all;
    all.ipsets = std::move(lines);
    all.ipset_numbers = {{"s", 3}};
    return all;
  };
  const std::string create = "create s hash:ip family inet hashsize 1024 maxelem 65536 initval 0x1";
  const Host one = host({create, "add s 1.1.1.1 packets 3 bytes 9", "add s 1.1.1.3"});
  const Host same = host({"create s hash:ip family inet hashsize 2048 maxelem 65536 initval 0x2",
                          "add s 1.1.1.3", "add s 1.1.1.1"});
  CHECK(compare(ruleset, ruleset, one, same).is_equivalent());
  CHECK(compare(ruleset, ruleset, one, host({create, "add s 1.1.1.2"})).unlike.size() == 1);
}

TEST_CASE("options that a rule writes are another header") {
  const auto ruleset = [](std::uint16_t size) {
    ExthdrWrite write;
    write.type = 2;
    write.offset = 2;
    write.length = 2;
    write.source = kLoaded;
    return with_input(
        {to_port(22, {Immediate{kLoaded, Value::be16(size)}, write, does(VerdictCode::Accept)})});
  };
  CHECK(compare(ruleset(1200), ruleset(1200)).is_equivalent());
  CHECK(compare(ruleset(1200), ruleset(1300)).has(DifferenceKind::Rewritten));
}

}  // namespace
}  // namespace rolewall::analyze
