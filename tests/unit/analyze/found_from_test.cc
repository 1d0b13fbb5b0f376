// What is not modelled is free, and one value only where it is found out from the same: between two
// rulesets that are compared, and between two expressions of one.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "analyze/difference.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kAsked = 8;
constexpr Register kPut = 12;

Rule exactly(ExprList exprs, VerdictCode code = VerdictCode::Continue) {
  Rule rule;
  rule.exprs = std::move(exprs);
  if (code != VerdictCode::Continue) rule.exprs.push_back(ImmediateVerdict{{code, "", 0}});
  return rule;
}

// Of IPv4 alone, and what no rule denies is accepted.
Ruleset of_ipv4(std::vector<Rule> rules) {
  Ruleset ruleset = with_input(std::move(rules));
  ruleset.tables.front().family = Family::Ip;
  BaseChain& base = *ruleset.tables.front().chains.front().base;
  base.hook = Hook::Prerouting;
  base.policy = VerdictCode::Accept;
  return ruleset;
}

bool are_equivalent(const Ruleset& before, const Ruleset& after) {
  const Host host;
  Difference difference({before, host}, {after, host});
  bool same = difference.unlike().empty();
  for (const Direction direction : {Direction::Arrive, Direction::Send}) {
    const auto parts = difference.parts(direction);
    REQUIRE(parts);
    same = same && parts->empty();
  }
  return same;
}

// Whether a packet of the state may be denied at all.
bool may_deny(const Ruleset& ruleset, std::uint32_t state, const Host& host = {}) {
  Analysis analysis(ruleset, host);
  const std::array fates{Fate::Drop};
  const auto set = analysis.by_choice(Direction::Arrive, fates);
  REQUIRE(set);
  Diagrams& d = analysis.diagrams();
  return d.meet(*set, d.where(analysis.space().state(), state, state));
}

// `ip saddr & 0.255.0.255 @s`
Ruleset with_scattered_key(std::uint8_t second, SetKind kind) {
  BitwiseMask mask{kAsked, kAsked, 4, Value(Bytes{0, 0xff, 0, 0xff}), Value(Bytes{0, 0, 0, 0})};
  Lookup lookup;
  lookup.set = "s";
  lookup.source = kAsked;
  const bool is_map = kind == SetKind::VerdictMap;
  if (is_map) lookup.result = LookupResult::Verdict;
  ExprList exprs{Payload{PayloadBase::Network, 12, 4, kAsked}, mask, lookup};
  Ruleset ruleset =
      of_ipv4({exactly(std::move(exprs), is_map ? VerdictCode::Continue : VerdictCode::Drop)});
  Set& set = ruleset.tables.front().sets.emplace_back();
  set.name = "s";
  set.kind = kind;
  set.key = {{DataType::Ipv4Address, 4}};
  set.elements.key_size = 4;
  set.elements.keys = {0, second, 0, 1};
  if (is_map) set.elements.verdicts = {{VerdictCode::Drop, "", 0}};
  return ruleset;
}

Rule sets_mark(std::uint32_t mark) {
  return exactly({Immediate{kPut, Value::host_u32(mark)}, MetaSet{MetaKey::Mark, kPut}});
}

TEST_CASE("a key that is too scattered is asked of a set's own elements") {
  for (const SetKind kind : {SetKind::Set, SetKind::VerdictMap}) {
    CHECK(are_equivalent(with_scattered_key(9, kind), with_scattered_key(9, kind)));
    CHECK_FALSE(are_equivalent(with_scattered_key(9, kind), with_scattered_key(8, kind)));
  }
}

TEST_CASE("what the routes say of a packet hangs on its mark") {
  const auto marked = [](std::uint32_t mark) {
    Fib fib;
    fib.flags = fib_flag::kDestination | fib_flag::kMark;
    fib.destination = kAsked;
    const Rule local =
        exactly({fib, Cmp{CmpOp::Eq, kAsked, Value::host_u32(2)}}, VerdictCode::Drop);
    return of_ipv4({sets_mark(mark), local, sets_mark(0)});
  };
  CHECK(are_equivalent(marked(1), marked(1)));
  CHECK_FALSE(are_equivalent(marked(1), marked(2)));
}

TEST_CASE("a hash hangs on what is hashed") {
  const auto hashed = [](std::uint32_t mark) {
    JenkinsHash hash;
    hash.source = kAsked;
    hash.length = 4;
    hash.modulus = 100;
    hash.destination = kPut;
    const Rule drops =
        exactly({Meta{MetaKey::Mark, kAsked}, hash, Cmp{CmpOp::Eq, kPut, Value::host_u32(5)}},
                VerdictCode::Drop);
    return of_ipv4({sets_mark(mark), drops, sets_mark(0)});
  };
  CHECK(are_equivalent(hashed(1), hashed(1)));
  CHECK_FALSE(are_equivalent(hashed(1), hashed(2)));
}

TEST_CASE("a set that is full takes nothing") {
  const auto filled = [](std::vector<std::uint8_t> keys) {
    Dynset dynset;
    dynset.set = "s";
    dynset.key = kAsked;
    Ruleset ruleset = of_ipv4(
        {exactly({Payload{PayloadBase::Network, 12, 4, kAsked}, dynset}, VerdictCode::Drop)});
    Set& set = ruleset.tables.front().sets.emplace_back();
    set.name = "s";
    set.key = {{DataType::Ipv4Address, 4}};
    set.dynamic = true;
    set.size = 1;
    set.elements.key_size = 4;
    set.elements.keys = std::move(keys);
    return ruleset;
  };
  CHECK(are_equivalent(filled({}), filled({})));
  CHECK_FALSE(are_equivalent(filled({10, 0, 0, 1}), filled({})));
}

TEST_CASE("a checksum is another after a rule has written it") {
  const auto is_zero = [] {
    return ExprList{Payload{PayloadBase::Transport, 6, 2, kAsked},
                    Cmp{CmpOp::Eq, kAsked, Value::be16(0)}};
  };
  const ExprList udp{Meta{MetaKey::L4Proto, kAsked}, Cmp{CmpOp::Eq, kAsked, Value::u8(17)}};
  ExprList writes = udp;
  writes.push_back(Immediate{kPut, Value::be16(0)});
  writes.push_back(PayloadWrite{PayloadBase::Transport, 6, 2, kPut, ChecksumKind::None, 0, false});
  ExprList accepts = udp;
  for (Expr& expr : is_zero()) accepts.push_back(std::move(expr));
  const ExprList drops = accepts;
  CHECK(may_deny(of_ipv4({exactly(std::move(accepts), VerdictCode::Accept),
                          exactly(std::move(writes)), exactly(drops, VerdictCode::Drop)}),
                 ct_state::kNew));
}

TEST_CASE("what is known of a connection's two directions is not one number") {
  const auto counts = [](CtDirection direction, CmpOp op, std::uint8_t number) {
    Value value;
    value.size = 8;
    value.bytes[7] = number;
    return ExprList{Ct{CtKey::Packets, direction, kAsked},
                    Byteorder{ByteorderOp::HostToNetwork, kAsked, kAsked, 8, 8},
                    Cmp{op, kAsked, value}};
  };
  ExprList exprs = counts(CtDirection::Original, CmpOp::Gt, 5);
  for (Expr& expr : counts(CtDirection::Reply, CmpOp::Lt, 3)) exprs.push_back(std::move(expr));
  CHECK(may_deny(of_ipv4({exactly(std::move(exprs), VerdictCode::Drop)}), ct_state::kEstablished));
}

// Before input what arrives has none.
TEST_CASE("the user and the group of a known socket are not one number") {
  Ruleset ruleset =
      of_ipv4({exactly({Meta{MetaKey::SkUid, kAsked}, Cmp{CmpOp::Eq, kAsked, Value::host_u32(0)},
                        Meta{MetaKey::SkGid, kAsked}, Cmp{CmpOp::Eq, kAsked, Value::host_u32(1)},
                        // Connections are known where rules ask about them.
                        Ct{CtKey::State, std::nullopt, kAsked}},
                       VerdictCode::Drop)});
  CHECK_FALSE(may_deny(ruleset, ct_state::kEstablished));
  ruleset.tables.front().chains.front().base->hook = Hook::Input;
  CHECK(may_deny(ruleset, ct_state::kEstablished));
}

TEST_CASE("two devices that are not described have two numbers") {
  const auto is = [](MetaKey key) {
    return ExprList{Meta{key, kAsked}, Cmp{CmpOp::Eq, kAsked, Value::host_u32(77)}};
  };
  Ruleset ruleset = of_ipv4({exactly(is(MetaKey::Iif), VerdictCode::Accept),
                             exactly(is(MetaKey::Oif), VerdictCode::Drop)});
  ruleset.tables.front().chains.front().base->hook = Hook::Forward;
  Host host;
  host.forwards_ipv4 = true;
  CHECK(may_deny(ruleset, ct_state::kNew, host));
}

TEST_CASE("an open connection may be handed to a flowtable, past all chains") {
  Unsupported offload;
  offload.name = "flow_offload";
  const Rule denies = exactly({}, VerdictCode::Drop);
  const auto may_accept = [](const Ruleset& ruleset, std::uint32_t state) {
    const Host host;
    Analysis analysis(ruleset, host);
    const std::array fates{Fate::Accept};
    const auto set = analysis.by_choice(Direction::Arrive, fates);
    REQUIRE(set);
    Diagrams& d = analysis.diagrams();
    return d.meet(
        *set, d.both(d.where(analysis.space().state(), state, state),
                     d.both(analysis.space().is_ipv4(), analysis.space().is(Part::Protocol, 6))));
  };
  Ruleset ruleset = of_ipv4({denies, exactly({offload})});
  CHECK(may_accept(ruleset, ct_state::kEstablished));
  CHECK_FALSE(may_accept(ruleset, ct_state::kNew));
  CHECK_FALSE(may_accept(of_ipv4({denies}), ct_state::kEstablished));
}

TEST_CASE("what an element with an end holds rests on it") {
  const auto listed = [](bool ends) {
    Lookup lookup;
    lookup.set = "s";
    lookup.source = kAsked;
    Ruleset ruleset = of_ipv4(
        {exactly({Payload{PayloadBase::Network, 12, 4, kAsked}, lookup}, VerdictCode::Drop)});
    Set& set = ruleset.tables.front().sets.emplace_back();
    set.name = "s";
    set.key = {{DataType::Ipv4Address, 4}};
    set.has_timeout = true;
    set.elements.key_size = 4;
    set.elements.keys = {10, 0, 0, 1};
    set.elements.timeouts_ms = {ends ? 20'000 : kNeverEnds};
    return ruleset;
  };
  const auto may_get_in = [](const Ruleset& ruleset) {
    Host host;
    host.addresses = {*net::parse_prefix("10.0.0.7")};
    Analysis analysis(ruleset, host);
    const std::array fates{Fate::Accept};
    const auto set = analysis.by_choice(Direction::Arrive, fates);
    REQUIRE(set);
    PacketSpace& space = analysis.space();
    Diagrams& d = analysis.diagrams();
    return d.meet(*set, d.both(space.is_ipv4(), space.is(Part::Source4, 0x0a000001)));
  };
  CHECK(may_get_in(listed(true)));
  CHECK_FALSE(may_get_in(listed(false)));
}

}  // namespace
}  // namespace rolewall::analyze
