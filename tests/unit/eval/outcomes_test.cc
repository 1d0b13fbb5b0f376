// What the question does not say is chosen, listed, and gone through way by way.
#include <doctest/doctest.h>

#include "rules.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Expr random_below(std::uint32_t modulus) {
  return Numgen{NumgenKind::Random, modulus, 10, 0};
}

TEST_CASE("a random number takes its first value, and every one in turn") {
  const Host on = host();
  const auto rules = input_rules({rule({random_below(3), is(Value::host_u32(11)), accept()})});
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Drop);
  CHECK(journey.conditions == std::vector<Condition>{{"numgen random mod 3", "10"}});
  const Outcomes outcomes = evaluator.outcomes(arriving(fields()), Direction::Arrive);
  CHECK(outcomes.complete);
  REQUIRE_EQ(outcomes.ways.size(), 3);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK(outcomes.ways[1].conditions == std::vector<Condition>{{"numgen random mod 3", "11"}});
  CHECK_EQ(outcomes.ways[2].fate(), Fate::Drop);
  // Asked again, the first answer is taken again.
  CHECK_EQ(evaluator.arrive(arriving(fields())).fate(), Fate::Drop);
}

TEST_CASE("two draws are independent, and too many ways are said to be") {
  const Host on = host();
  auto rules = input_rules({rule({random_below(2), random_below(3), accept()})});
  CHECK_EQ(Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive).ways.size(), 6);
  rules = input_rules({rule({random_below(16), random_below(16), accept()})});
  const Outcomes many = Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive);
  CHECK_EQ(many.ways.size(), Outcomes::kMost);
  CHECK_FALSE(many.complete);
  // What could be anything is undecided, by name.
  rules = input_rules({rule({random_below(1000), accept()})});
  const Journey journey = Evaluator(rules, on).arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Undecided);
  CHECK(journey.hooks.back().reason.ends_with("numgen random mod 1000, which is not known"));
}

TEST_CASE("every way begins with the same state, which stays") {
  const Host on = host();
  const auto rules = input_rules(
      {rule({random_below(2), Limit{LimitUnit::Packets, 1, 3600, 1, false}, accept()})});
  Evaluator evaluator(rules, on);
  const Options keep{.keep_state = true};
  const Outcomes outcomes = evaluator.outcomes(arriving(fields()), Direction::Arrive, keep);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Drop);
}

TEST_CASE("incremental numbers count from the first, over packets") {
  const Host on = host();
  const auto rules = input_rules(
      {rule({Numgen{NumgenKind::Incremental, 2, 5, 0}, is(Value::host_u32(5)), accept()})});
  Evaluator evaluator(rules, on);
  const Options keep{.keep_state = true};
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Drop);
  CHECK_EQ(evaluator.arrive(arriving(fields()), keep).fate(), Fate::Accept);
}

TEST_CASE("the type of an address: known of groups and the host's own, else chosen") {
  const auto type_is = [](std::uint32_t flag, RouteType type) {
    return std::vector<Expr>{Fib{FibResult::AddressType, flag, 0},
                             is(Value::host_u32(static_cast<std::uint32_t>(type)))};
  };
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Local), arriving(fields())));
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Local), arriving(fields6())));
  PacketFields group = fields(17, 53);
  group.destination = address("224.0.0.1");
  CHECK(matches(type_is(fib_flag::kDestination, RouteType::Multicast), arriving(group)));
  const Host on = host();
  const auto rules =
      input_rules({rule(then(type_is(fib_flag::kSource, RouteType::Unicast), accept()))});
  const Outcomes outcomes = Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive);
  REQUIRE_EQ(outcomes.ways.size(), 2);
  CHECK_EQ(outcomes.ways[0].fate(), Fate::Accept);
  CHECK_EQ(outcomes.ways[1].fate(), Fate::Drop);
  CHECK_EQ(outcomes.ways[1].conditions.at(0).is, "broadcast");
}

TEST_CASE("no route back, no socket, no transform, no tunnel") {
  const Host on = host();
  const auto ways = [&](std::vector<Expr> exprs) {
    const auto rules = input_rules({rule(then(std::move(exprs), accept()))});
    std::string fates;
    for (const Journey& way :
         Evaluator(rules, on).outcomes(arriving(fields()), Direction::Arrive).ways) {
      fates += way.fate() == Fate::Accept ? 'a' : way.fate() == Fate::Drop ? 'd' : '?';
    }
    return fates;
  };
  const Expr back = Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kIif | fib_flag::kPresent, 0};
  CHECK_EQ(ways({back, is(Value::u8(1))}), "ad");
  CHECK_EQ(ways({back, is(Value::u8(0))}), "da");
  const Expr transparent = Socket{SocketKey::Transparent, 0, 0};
  CHECK_EQ(ways({transparent, is(Value::u8(0))}), "dad");
  CHECK_EQ(ways({transparent, is_not(Value::u8(0))}), "dda");
  CHECK_EQ(ways({Xfrm{XfrmKey::RequestId, XfrmDirection::In, 0, 0}}), "d");
  CHECK_EQ(ways({Tunnel{TunnelKey::Id, TunnelMode::Any, 0}}), "d");
  CHECK_EQ(ways({Tunnel{TunnelKey::Path, TunnelMode::Any, 0}, is(Value::u8(0))}), "a");
  CHECK_EQ(ways({SymmetricHash{4, 0, 0}, is(Value::host_u32(3))}), "ddda");
  CHECK_EQ(ways({Rt{RtKey::TcpMss, 0}}), "?");
}

}  // namespace
}  // namespace rolewall::eval
