#include <doctest/doctest.h>

#include "rules.h"

namespace rolewall::eval {

namespace {

using ruleset::Hook;
using ruleset::MetaKey;
using ruleset::Value;
using ruleset::VerdictCode;

TEST_CASE("a packet passes prerouting and input, and the first rule that ends decides") {
  const auto rules =
      input_rules({rule(then(destination_port_is(6, 80), accept())),
                   rule(then(destination_port_is(6, 22), accept())), rule({drop()})});
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields(6, 22)));
  CHECK_EQ(journey.fate(), Fate::Accept);
  REQUIRE_EQ(journey.hooks.size(), 2);
  CHECK(journey.hooks[0].hook == Hook::Prerouting);
  CHECK_FALSE(journey.hooks[0].decided);
  const HookResult& input = journey.hooks[1];
  CHECK(input.hook == Hook::Input);
  CHECK(input.decided);
  CHECK_EQ(input.decision.rule, 1);
  REQUIRE_EQ(input.steps.size(), 2);
  CHECK_FALSE(input.steps[0].matched);
  CHECK_EQ(input.steps[0].broke_at, 3);
  CHECK(input.steps[1].matched);

  CHECK_EQ(evaluator.arrive(arriving(fields(6, 23))).fate(), Fate::Drop);
  CHECK_EQ(evaluator.arrive(arriving(fields6(6, 22))).fate(), Fate::Accept);
}

TEST_CASE("of many steps the first and the last are kept, and the rest is counted") {
  std::vector<ruleset::Rule> chain(100, rule(then(destination_port_is(6, 80), accept())));
  chain.push_back(rule({drop()}));
  const auto rules = input_rules(std::move(chain));
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  Options options;
  options.most_steps = 8;
  const HookResult input = evaluator.arrive(arriving(fields(6, 22)), options).hooks.back();
  REQUIRE_LE(input.steps.size(), 8);
  CHECK_EQ(input.steps.size() + input.steps_left_out, 101);
  for (std::uint32_t i = 0; i < 4; ++i) CHECK_EQ(input.steps[i].rule, i);
  CHECK_EQ(input.steps.back().rule, 100);
  CHECK(input.steps.back().matched);
  CHECK_EQ(evaluator.arrive(arriving(fields(6, 22))).hooks.back().steps.size(), 101);
}

TEST_CASE("the policy decides where no rule does") {
  const auto rules = one_table({base_chain({}, Hook::Input, 0, VerdictCode::Accept)});
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Accept);
  CHECK_EQ(journey.hooks[1].decision.rule, Decision::kPolicy);
}

TEST_CASE("accept in one base chain does not end the hook, drop does") {
  const auto rules = one_table({base_chain({rule({accept()})}, Hook::Input, 0),
                                base_chain({rule({drop()})}, Hook::Input, 10),
                                base_chain({rule({accept()})}, Hook::Input, 20)});
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields()));
  CHECK_EQ(journey.fate(), Fate::Drop);
  CHECK_EQ(journey.hooks[1].decision.chain, 1);
  CHECK_EQ(journey.hooks[1].steps.size(), 2);
}

TEST_CASE("a rule's accept is named before another chain's policy") {
  const auto rules = one_table({base_chain({rule({accept()})}, Hook::Input, 0),
                                base_chain({}, Hook::Input, 10, VerdictCode::Accept)});
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  const Journey journey = evaluator.arrive(arriving(fields()));
  CHECK_EQ(journey.hooks[1].decision.chain, 0);
  CHECK_EQ(journey.hooks[1].decision.rule, 0);
}

TEST_CASE("jump returns to the next rule, goto to the caller's caller") {
  const auto jump =
      one_table({base_chain({rule({verdict(VerdictCode::Jump, "c")}), rule({accept()})}),
                 plain_chain("c", {})});
  CHECK_EQ(fate_of(jump, arriving(fields())), Fate::Accept);
  const auto goes =
      one_table({base_chain({rule({verdict(VerdictCode::Goto, "c")}), rule({accept()})}),
                 plain_chain("c", {})});
  CHECK_EQ(fate_of(goes, arriving(fields())), Fate::Drop);  // the base chain's policy
  const auto nested =
      one_table({base_chain({rule({verdict(VerdictCode::Jump, "c")}), rule({accept()})}),
                 plain_chain("c", {rule({verdict(VerdictCode::Goto, "d")}), rule({drop()})}),
                 plain_chain("d", {rule({verdict(VerdictCode::Return)}), rule({drop()})})});
  CHECK_EQ(fate_of(nested, arriving(fields())), Fate::Accept);
}

// As deep as the kernel takes it, and fifty jumps in each chain: 50^14 paths.
TEST_CASE("a ruleset without end is given up, not run for ever") {
  std::vector<ruleset::Chain> chains = {base_chain({rule({verdict(VerdictCode::Jump, "c1")})})};
  for (int i = 1; i < 15; ++i) {
    const Expr down = verdict(VerdictCode::Jump, "c" + std::to_string(i + 1));
    chains.push_back(plain_chain("c" + std::to_string(i), std::vector(50, rule({down}))));
  }
  chains.push_back(plain_chain("c15", {}));
  const auto endless = one_table(std::move(chains));
  REQUIRE_FALSE(ruleset::verify(endless));
  const ruleset::Host on = host();
  Evaluator evaluator(endless, on);
  CHECK_EQ(evaluator.arrive(arriving(fields()), {.steps = false}).fate(), Fate::Undecided);
}

TEST_CASE("what is not modelled makes undecided only what reaches it") {
  const auto rules =
      input_rules({rule(then(destination_port_is(6, 22), accept())),
                   rule({ruleset::Unsupported{"osf", "attribute 9 is unknown"}, accept()})});
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  CHECK_EQ(evaluator.arrive(arriving(fields(6, 22))).fate(), Fate::Accept);
  const Journey journey = evaluator.arrive(arriving(fields(6, 23)));
  CHECK_EQ(journey.fate(), Fate::Undecided);
  CHECK_EQ(journey.hooks[1].reason,
           "table t, chain base2_0, rule 2: the expression osf is not modelled: attribute 9 is "
           "unknown");
}

TEST_CASE("sending passes output and postrouting, with the socket's owner") {
  const auto rules = one_table({base_chain(
      {rule({load_meta(MetaKey::SkUid), is(Value::host_u32(0)), accept()})}, Hook::Output)});
  Packet packet = build(fields());
  packet.out_device = "eth0";
  const ruleset::Host on = host();
  Evaluator evaluator(rules, on);
  CHECK_EQ(evaluator.send(packet).fate(), Fate::Drop);  // no socket: the load breaks
  packet.user = 0;
  const Journey journey = evaluator.send(packet);
  CHECK_EQ(journey.fate(), Fate::Accept);
  REQUIRE_EQ(journey.hooks.size(), 2);
  CHECK(journey.hooks[1].hook == Hook::Postrouting);
  packet.user = 1000;
  CHECK_EQ(evaluator.send(packet).fate(), Fate::Drop);
}

TEST_CASE("only what is addressed to the host comes in") {
  const auto rules = one_table({base_chain({}, Hook::Input, 0, VerdictCode::Accept)});
  auto to = fields();
  for (const char* own : {"10.0.0.1", "10.9.0.77", "10.0.0.100", "224.0.0.18", "255.255.255.255"}) {
    to.destination = address(own);
    CHECK_EQ(fate_of(rules, arriving(to)), Fate::Accept);
  }
  for (const char* other : {"10.0.0.2", "10.9.1.0", "127.0.0.1", "0.0.0.0", "10.0.0.255"}) {
    to.destination = address(other);
    CHECK_EQ(fate_of(rules, arriving(to)), Fate::Stack);
  }
  // Over the loopback what this host sends itself has its route already; a stranger has not.
  to.destination = address("127.0.0.1");
  CHECK_EQ(fate_of(rules, arriving(to, "lo")), Fate::Stack);
  for (const char* own : {"127.0.0.1", "10.0.0.1"}) {
    to.source = address(own);
    CHECK_EQ(fate_of(rules, arriving(to, "lo")), Fate::Accept);
    CHECK_EQ(fate_of(rules, arriving(to)), Fate::Stack);
  }
}

}  // namespace
}  // namespace rolewall::eval
