// What is free in a proof: what packets have counted or put into sets, and what is known of a
// connection that was open before.
#include <doctest/doctest.h>

#include <array>
#include <utility>

#include "analyze/analysis.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kKey = 8;
constexpr std::uint32_t kListed = 0x01010101;
constexpr std::uint32_t kOther = 0x09010101;
constexpr std::uint32_t kOwn = 0x0a010007;

Rule of(ExprList exprs) {
  Rule rule;
  rule.exprs = std::move(exprs);
  return rule;
}
Expr ends(VerdictCode code) {
  return ImmediateVerdict{{code, "", 0}};
}
Expr source() {
  return Payload{PayloadBase::Network, 12, 4, kKey};
}
Rule accepts() {
  return of({ends(VerdictCode::Accept)});
}

// A TCP packet to port 22 that arrives by eth0.
class Proof {
 public:
  explicit Proof(Ruleset ruleset) : ruleset_(std::move(ruleset)) {
    ruleset_.tables.front().family = Family::Ip;
    host_.addresses = {*net::parse_prefix("10.1.0.7")};
  }

  // Whether it may, as long as nothing was counted.
  bool may(Fate fate, std::uint32_t from, std::uint32_t state = ct_state::kNew) {
    const std::array fates{fate};
    const auto set = analysis_.by_choice(Direction::Arrive, fates);
    REQUIRE(set);
    Diagrams& d = analysis_.diagrams();
    PacketSpace& space = analysis_.space();
    const auto is = [&](FieldId field, std::uint64_t value) {
      return d.where(field, value, value);
    };
    Diagram asked = d.both(space.is_ipv4(), space.is(Part::Protocol, 6));
    asked = d.both(asked, is(space.state(), state));
    asked = d.both(asked, is(space.field(Part::Source4), from));
    asked = d.both(asked, is(space.field(Part::Destination4), kOwn));
    asked = d.both(asked, is(space.field(Part::Transport2), 22));
    asked = d.both(asked, is(space.field(Part::InDevice), 0x6574683000000000));
    asked = d.both(asked, is(space.field(Part::InDevice) + 1, 0));
    asked = d.both(asked, is(space.field(Part::OutDevice), 0));
    asked = d.both(asked, d.both(space.packets(), space.unspent()));
    return d.meet(*set, asked);
  }

 private:
  Ruleset ruleset_;
  Host host_;
  Analysis analysis_{ruleset_, host_};
};

Ruleset with_filled_set(DynsetOp op, std::vector<Rule> rules) {
  ExprList fills{source()};
  Dynset dynset;
  dynset.op = op;
  dynset.set = "s";
  dynset.key = kKey;
  fills.push_back(dynset);
  rules.insert(rules.begin(), of(std::move(fills)));
  Ruleset ruleset = with_input(std::move(rules));
  Set& set = ruleset.tables.front().sets.emplace_back();
  set.name = "s";
  set.key = {{DataType::Integer, 4}};
  set.dynamic = true;
  set.size = 5;
  set.elements.key_size = 4;
  set.elements.keys = {1, 1, 1, 1};
  return ruleset;
}
Rule if_held(VerdictCode code, bool inverted = false) {
  return of({source(), Lookup{"s", kKey, LookupResult::Membership, 0, inverted}, ends(code)});
}

TEST_CASE("a set that packets fill holds what the ruleset says, and perhaps more") {
  Proof proof(with_filled_set(DynsetOp::Add, {if_held(VerdictCode::Drop), accepts()}));
  CHECK(proof.may(Fate::Drop, kListed));
  CHECK_FALSE(proof.may(Fate::Accept, kListed));
  CHECK(proof.may(Fate::Drop, kOther));
  CHECK(proof.may(Fate::Accept, kOther));
}

TEST_CASE("what is not in a set that packets fill") {
  Proof proof(with_filled_set(DynsetOp::Add, {if_held(VerdictCode::Drop, true), accepts()}));
  CHECK_FALSE(proof.may(Fate::Drop, kListed));
  CHECK(proof.may(Fate::Drop, kOther));
  CHECK(proof.may(Fate::Accept, kOther));
}

TEST_CASE("what a rule takes out of a set need not be there") {
  Proof proof(with_filled_set(DynsetOp::Delete, {if_held(VerdictCode::Drop), accepts()}));
  CHECK(proof.may(Fate::Drop, kListed));
  CHECK(proof.may(Fate::Accept, kListed));
}

TEST_CASE("an element with an end need not be there") {
  Ruleset ruleset = with_filled_set(DynsetOp::Add, {if_held(VerdictCode::Drop), accepts()});
  ruleset.tables.front().sets.front().has_timeout = true;
  Proof proof(std::move(ruleset));
  CHECK(proof.may(Fate::Drop, kListed));
  CHECK(proof.may(Fate::Accept, kListed));
}

TEST_CASE("a rule that takes an element away goes on") {
  Dynset dynset;
  dynset.op = DynsetOp::Delete;
  dynset.set = "s";
  dynset.key = kKey;
  Proof proof(
      with_filled_set(DynsetOp::Add, {of({source(), dynset, ends(VerdictCode::Drop)}), accepts()}));
  CHECK(proof.may(Fate::Drop, kOther));
  CHECK_FALSE(proof.may(Fate::Accept, kOther));
}

TEST_CASE("a set that is full takes no more") {
  Dynset dynset;
  dynset.op = DynsetOp::Add;
  dynset.set = "s";
  dynset.key = kKey;
  Ruleset ruleset =
      with_filled_set(DynsetOp::Add, {of({source(), dynset, ends(VerdictCode::Accept)})});
  SUBCASE("there is room") {
    Proof proof(std::move(ruleset));
    CHECK_FALSE(proof.may(Fate::Drop, kOther));
  }
  SUBCASE("there is none") {
    ruleset.tables.front().sets.front().size = 1;
    Proof proof(std::move(ruleset));
    CHECK(proof.may(Fate::Drop, kOther));
  }
}

bool may_be_used_up(const Expr& counts) {
  Proof proof(with_input({of({counts, ends(VerdictCode::Accept)})}));
  CHECK(proof.may(Fate::Accept, kOther));
  return proof.may(Fate::Drop, kOther);
}

TEST_CASE("what one packet alone can use up") {
  CHECK_FALSE(may_be_used_up(Limit{LimitUnit::Packets, 1, 3600, 1, false}));
  CHECK_FALSE(may_be_used_up(Limit{LimitUnit::Bytes, 100'000, 1, 0, false}));
  CHECK(may_be_used_up(Limit{LimitUnit::Bytes, 100, 1, 100, false}));
  CHECK_FALSE(may_be_used_up(Quota{1'000'000, 0, false}));
  CHECK(may_be_used_up(Quota{40, 0, false}));
  CHECK(may_be_used_up(Quota{1'000'000, 999'999, false}));
  CHECK_FALSE(may_be_used_up(Connlimit{2, false}));
  CHECK(may_be_used_up(Connlimit{0, false}));
}

TEST_CASE("a quota that the ruleset says is used up is") {
  Proof proof(with_input({of({Quota{1'000'000, 1'000'000, true}, ends(VerdictCode::Accept)})}));
  CHECK(proof.may(Fate::Accept, kOther));
  CHECK_FALSE(proof.may(Fate::Drop, kOther));
}

Ruleset with_nat(Rule rule) {
  Ruleset ruleset = with_input({accepts()});
  Chain& chain = ruleset.tables.front().chains.emplace_back();
  chain.name = "masquerade";
  chain.base = BaseChain{ChainType::Nat, Hook::Postrouting, 100, VerdictCode::Accept, {}};
  chain.rules = {std::move(rule)};
  return ruleset;
}

TEST_CASE("a connection that was known before may be translated") {
  Proof proof(with_nat(of({Masquerade{}})));
  for (const std::uint32_t state : {ct_state::kEstablished, ct_state::kRelated}) {
    for (const Fate fate : {Fate::Accept, Fate::Drop, Fate::Reject, Fate::Stack}) {
      CHECK(proof.may(fate, kOther, state));
    }
  }
  CHECK_FALSE(proof.may(Fate::Drop, kOther));
  CHECK_FALSE(proof.may(Fate::Drop, kOther, ct_state::kInvalid));
}

TEST_CASE("no connection is translated where no rule does so") {
  Proof proof(with_nat(accepts()));
  CHECK_FALSE(proof.may(Fate::Drop, kOther, ct_state::kEstablished));
}

TEST_CASE("what is dropped before NAT is dropped, translated or not") {
  Ruleset ruleset = with_nat(of({Masquerade{}}));
  Chain& chain = ruleset.tables.front().chains.emplace_back();
  chain.name = "early";
  chain.base = BaseChain{ChainType::Filter, Hook::Prerouting, -150, VerdictCode::Drop, {}};
  Proof proof(std::move(ruleset));
  CHECK(proof.may(Fate::Drop, kOther, ct_state::kEstablished));
  CHECK_FALSE(proof.may(Fate::Accept, kOther, ct_state::kEstablished));
}

Ruleset with_device_chain(ExprList exprs) {
  Ruleset ruleset = with_input({accepts()});
  Table& table = ruleset.tables.emplace_back();
  table.name = "below";
  table.family = Family::Netdev;
  Chain& chain = table.chains.emplace_back();
  chain.name = "ingress";
  chain.base = BaseChain{ChainType::Filter, Hook::Ingress, 0, VerdictCode::Accept, {}};
  chain.rules = {of(std::move(exprs))};
  return ruleset;
}

TEST_CASE("a device's chain may deny, and where it writes, lead anywhere") {
  Proof denies(with_device_chain({ends(VerdictCode::Drop)}));
  CHECK(denies.may(Fate::Drop, kOther));
  CHECK_FALSE(denies.may(Fate::Reject, kOther));
  Proof marks(
      with_device_chain({Immediate{kKey, Value::host_u32(7)}, MetaSet{MetaKey::Mark, kKey}}));
  for (const Fate fate : {Fate::Accept, Fate::Drop, Fate::Reject, Fate::Stack}) {
    CHECK(marks.may(fate, kOther));
  }
}

}  // namespace
}  // namespace rolewall::analyze
