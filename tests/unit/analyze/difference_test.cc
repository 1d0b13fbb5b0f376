// What differs between two small rulesets, by its kind.
#include "analyze/difference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "analyze/field_order.h"
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

// Accepts TCP to the ports from 1 to `count`, each by a rule, but for one.
Ruleset with_many_ports(std::uint16_t count, std::uint16_t without) {
  constexpr Register kRegister = 8;
  constexpr std::uint8_t kTcpNumber = 6;
  Ruleset ruleset = that_logs(Hook::Input, VerdictCode::Drop);
  Chain& chain = ruleset.tables.front().chains.front();
  chain.rules.clear();
  for (std::uint16_t port = 1; port <= count; ++port) {
    if (port == without) continue;
    Rule& rule = chain.rules.emplace_back();
    rule.exprs = {Meta{MetaKey::L4Proto, kRegister},
                  Cmp{CmpOp::Eq, kRegister, Value::u8(kTcpNumber)},
                  Payload{PayloadBase::Transport, 2, 2, kRegister},
                  Cmp{CmpOp::Eq, kRegister, Value::be16(port)},
                  ImmediateVerdict{{VerdictCode::Accept, "", 0}}};
  }
  return ruleset;
}

TEST_CASE("the order of the fields changes no answer") {
  constexpr std::uint16_t kMany = 1'200;
  constexpr std::uint16_t kFew = 20;
  constexpr std::uint16_t kGone = 17;
  CHECK(order_for(with_many_ports(kMany, kGone)) == FieldOrder::PortsFirst);
  CHECK(order_for(with_many_ports(kFew, kGone)) == FieldOrder::AddressesFirst);
  for (const std::uint16_t count : {kMany, kFew}) {
    CAPTURE(count);
    const Host host;
    const Ruleset before = with_many_ports(count, 0);
    const Ruleset after = with_many_ports(count, kGone);
    Difference difference({before, host}, {after, host});
    const auto parts = difference.parts(Direction::Arrive);
    REQUIRE(parts);
    REQUIRE(parts->size() == 1);
    CHECK(parts->front().kind == DifferenceKind::NewlyDenied);
    Diagrams& d = difference.diagrams();
    const Diagram port = d.where(difference.space().field(Part::Transport2), kGone, kGone);
    const Diagram packets = parts->front().packets;
    CHECK(d.minus(packets, d.both(port, difference.space().is(Part::Protocol, 6))) == kNothing);
  }
}

// Tables with a chain each at one priority, of which each gives a mark that the others drop; the
// last one does as told with it.
Ruleset with_equal_priorities(std::size_t count, VerdictCode last) {
  constexpr Register kMark = 8;
  Ruleset ruleset;
  for (std::size_t i = 0; i < count; ++i) {
    Table& table = ruleset.tables.emplace_back();
    table.name = "t" + std::to_string(i);
    Chain& chain = table.chains.emplace_back();
    chain.name = "c";
    chain.base = BaseChain{ChainType::Filter, Hook::Input, 0, VerdictCode::Accept, {}};
    const VerdictCode does = i + 1 == count ? last : VerdictCode::Drop;
    chain.rules.emplace_back().exprs = {Meta{MetaKey::Mark, kMark},
                                        Cmp{CmpOp::Neq, kMark, Value::host_u32(0)},
                                        ImmediateVerdict{{does, "", 0}}};
    chain.rules.emplace_back().exprs = {Immediate{kMark, Value::host_u32(1)},
                                        MetaSet{MetaKey::Mark, kMark}};
  }
  return ruleset;
}

TEST_CASE("an order that no ruleset tells is said to be taken for the same, or nothing is proven") {
  constexpr std::size_t kMany = 7;  // more orders than are tried
  for (const std::size_t count : {std::size_t{2}, kMany}) {
    CAPTURE(count);
    const Host host;
    const Ruleset before = with_equal_priorities(count, VerdictCode::Drop);
    const Ruleset after = with_equal_priorities(count, VerdictCode::Accept);
    Difference difference({before, host}, {after, host});
    const auto parts = difference.parts(Direction::Arrive);
    REQUIRE(parts);
    CHECK(difference.assumed().empty() == (count == kMany));
    CHECK(difference.unlike().empty() == (count != kMany));
  }
}

}  // namespace
}  // namespace rolewall::analyze
