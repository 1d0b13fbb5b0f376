// What rules make of a packet before others ask about it: iptables' marks and networks, and what
// the routes say before and after a translation.
#include <doctest/doctest.h>

#include <array>
#include <utility>

#include "analyze/analysis.h"
#include "ruleset/expr.h"
#include "ruleset/loads.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kAskedRegister = 8;
constexpr std::uint32_t kMapped = 0x0a010007;  // 10.1.0.7, this host's

Rule rule_made_of(ExprList exprs) {
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}

Expr verdict(VerdictCode code) {
  return ImmediateVerdict{{code, "", 0}};
}

Value address(std::uint32_t number) {
  return Value(std::vector<std::uint8_t>{
      static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
      static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

// A connection's first TCP packet that arrives by eth0 for this address.
class Asked {
 public:
  explicit Asked(Ruleset ruleset) : ruleset_(std::move(ruleset)) {
    ruleset_.tables.front().family = Family::Ip;
    host_.addresses = {*net::parse_prefix("10.1.0.7")};
  }

  bool may(Fate fate, std::uint32_t to, std::uint32_t state = ct_state::kNew) {
    const std::array fates{fate};
    const auto answer = analysis_.may(Direction::Arrive, fates);
    REQUIRE(answer);
    Diagrams& d = analysis_.diagrams();
    PacketSpace& space = analysis_.space();
    const auto is = [&](FieldId field, std::uint64_t value) {
      return d.where(field, value, value);
    };
    Diagram asked = d.both(space.is_ipv4(), space.is(Part::Protocol, 6));
    asked = d.both(asked, is(space.state(), state));
    asked = d.both(asked, is(space.field(Part::Destination4), to));
    asked = d.both(asked, is(space.field(Part::InDevice), 0x6574683000000000));
    asked = d.both(asked, is(space.field(Part::InDevice) + 1, 0));
    return d.meet(answer->packets, d.both(asked, space.packets()));
  }

 private:
  Ruleset ruleset_;
  Host host_;
  Analysis analysis_{ruleset_, host_};
};

Ruleset with_translation(Rule rule, std::vector<Rule> input) {
  Ruleset ruleset = with_input(std::move(input));
  Chain& chain = ruleset.tables.front().chains.emplace_back();
  chain.name = "translate";
  chain.base = BaseChain{ChainType::Nat, Hook::Prerouting, -100, VerdictCode::Accept, {}};
  chain.rules = {std::move(rule)};
  return ruleset;
}

TEST_CASE("iptables' MARK keeps the bits outside of its mask") {
  const XtTarget third{"MARK", 2, {0, 1, 0, 0, 0, 1, 0, 0}};  // (mark & ~0x100) ^ 0x100
  const XtTarget five{"MARK", 2, {5, 0, 0, 0, 0xff, 0, 0, 0}};
  const Rule asks = rule_made_of({Meta{MetaKey::Mark, kAskedRegister},
                                  Cmp{CmpOp::Eq, kAskedRegister, Value::host_u32(0x105)},
                                  verdict(VerdictCode::Accept)});
  Asked asked(with_input({rule_made_of({third}), rule_made_of({five}), asks}));
  CHECK(asked.may(Fate::Accept, kMapped));
  CHECK_FALSE(asked.may(Fate::Drop, kMapped));
}

// struct xt_connmark_tginfo1: value, the connection's mask, the packet's, and what it does.
Rule connmark(std::uint8_t does, std::uint8_t value) {
  return rule_made_of(
      {XtTarget{"CONNMARK", 1, {value, 0, 0, 0, 0xff, 0, 0, 0, 0xff, 0, 0, 0, does, 0, 0, 0}}});
}
Rule mark(std::uint8_t value) {
  return rule_made_of({XtTarget{"MARK", 2, {value, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}}});
}
Rule if_marked(MetaKey key, std::uint32_t value, VerdictCode code) {
  return rule_made_of({Meta{key, kAskedRegister},
                       Cmp{CmpOp::Eq, kAskedRegister, Value::host_u32(value)}, verdict(code)});
}
Rule if_connection(CtKey key, const Value& value, VerdictCode code) {
  return rule_made_of(
      {Ct{key, {}, kAskedRegister}, Cmp{CmpOp::Eq, kAskedRegister, value}, verdict(code)});
}
Rule set_connection(CtKey key, const Value& value) {
  return rule_made_of({Immediate{kAskedRegister, value}, CtSet{key, {}, kAskedRegister}});
}
constexpr std::array kTrackedStates{ct_state::kNew, ct_state::kEstablished, ct_state::kRelated};

TEST_CASE("iptables' CONNMARK saves and restores a mark") {
  constexpr std::uint8_t kSets = 0, kSaves = 1, kRestores = 2;
  for (const std::uint32_t state : kTrackedStates) {
    CAPTURE(state);
    Asked saved(with_input({mark(5), connmark(kSaves, 0), mark(0), connmark(kRestores, 0),
                            if_marked(MetaKey::Mark, 5, VerdictCode::Accept)}));
    CHECK(saved.may(Fate::Accept, kMapped, state));
    CHECK_FALSE(saved.may(Fate::Drop, kMapped, state));
    Asked set(with_input({connmark(kSets, 7), mark(0), connmark(kRestores, 0),
                          if_marked(MetaKey::Mark, 7, VerdictCode::Accept)}));
    CHECK_FALSE(set.may(Fate::Drop, kMapped, state));
  }
  // Of what no connection knows there is none.
  Asked invalid(with_input({connmark(kSets, 7), mark(3), connmark(kRestores, 0),
                            if_marked(MetaKey::Mark, 3, VerdictCode::Accept)}));
  CHECK_FALSE(invalid.may(Fate::Drop, kMapped, ct_state::kInvalid));
}

TEST_CASE("the mark of a known connection is another once a rule gave it one") {
  const Value seven = Value::host_u32(7);
  for (const std::uint32_t state : kTrackedStates) {
    CAPTURE(state);
    Asked asked(with_input({if_connection(CtKey::Mark, seven, VerdictCode::Drop),
                            set_connection(CtKey::Mark, seven),
                            if_connection(CtKey::Mark, seven, VerdictCode::Accept)}));
    CHECK(asked.may(Fate::Accept, kMapped, state));
    CHECK(asked.may(Fate::Drop, kMapped, state) == (state != ct_state::kNew));
  }
}

// nf_connlabels_replace() takes the new labels for their own mask.
TEST_CASE("labels add up") {
  const auto label = [](std::uint8_t first) {
    std::vector<std::uint8_t> bytes(16);
    bytes[0] = first;
    return Value(bytes);
  };
  Asked asked(
      with_input({set_connection(CtKey::Labels, label(1)), set_connection(CtKey::Labels, label(2)),
                  if_connection(CtKey::Labels, label(3), VerdictCode::Accept)}));
  CHECK_FALSE(asked.may(Fate::Drop, kMapped));
}

// The host's part of an address is not compared: as the lowest bits of a field it is too many
// intervals.
TEST_CASE("iptables' NETMAP gives the network's part of an address") {
  // struct nf_nat_ipv4_multi_range_compat: one range, 10.1.0.0 to 10.1.0.255, padded
  const XtTarget map{
      "NETMAP", 0, {1, 0, 0, 0, 1, 0, 0, 0, 10, 1, 0, 0, 10, 1, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0}};
  const Rule asks = rule_made_of(
      {Payload{PayloadBase::Network, 16, 4, kAskedRegister},
       BitwiseMask{kAskedRegister, kAskedRegister, 4, address(0xffffff00), address(0)},
       Cmp{CmpOp::Eq, kAskedRegister, address(0x0a010000)}, verdict(VerdictCode::Accept)});
  Asked asked(with_translation(rule_made_of({map}), {asks}));
  CHECK(asked.may(Fate::Accept, 0xc0000207));
  CHECK_FALSE(asked.may(Fate::Drop, 0xc0000207));
}

TEST_CASE("the routes may say something else of a translated address") {
  const auto asks = [](CmpOp op, VerdictCode code) {
    constexpr std::uint32_t kLocal = 2;  // RTN_LOCAL
    return rule_made_of({Fib{FibResult::AddressType, fib_flag::kDestination, kAskedRegister},
                         Cmp{op, kAskedRegister, Value::host_u32(kLocal)}, verdict(code)});
  };
  Nat nat;
  nat.kind = NatKind::Destination;
  nat.address_min = kAskedRegister;
  Ruleset ruleset =
      with_translation(rule_made_of({Immediate{kAskedRegister, address(kMapped)}, nat}),
                       {asks(CmpOp::Eq, VerdictCode::Accept)});
  Chain& early = ruleset.tables.front().chains.emplace_back();
  early.name = "early";
  early.base = BaseChain{ChainType::Filter, Hook::Prerouting, -300, VerdictCode::Accept, {}};
  early.rules = {asks(CmpOp::Eq, VerdictCode::Drop)};
  // Not local as it came, and let in for being local now.
  Asked asked(std::move(ruleset));
  CHECK(asked.may(Fate::Accept, 0xc0000207));
}

}  // namespace
}  // namespace rolewall::analyze
