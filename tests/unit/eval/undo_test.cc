// A way that is only tried leaves nothing behind, whatever it changes: a conversation in which each
// packet is tried beforehand goes as one in which none is.
#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr std::uint64_t kTenth = kSecond / 10;

// What remembers, each kind, before and after a choice.
Ruleset rules_that_remember() {
  Set seen;
  seen.name = "seen";
  seen.key = {{DataType::Ipv4Address, 4}};
  seen.dynamic = true;
  seen.has_timeout = true;
  seen.timeout_ms = 700;
  seen.size = 3;
  seen.elements.key_size = 4;
  seen.elements.keys = {192, 0, 2, 1};
  const auto change = [](DynsetOp op, std::uint64_t timeout_ms = 0) {
    Dynset dynset;
    dynset.op = op;
    dynset.set = "seen";
    dynset.timeout_ms = timeout_ms;
    if (op != DynsetOp::Delete) {
      dynset.exprs = {Limit{.rate = 2, .per_seconds = 1, .burst = 2}, Counter{}};
    }
    return dynset;
  };
  Lookup is_seen;
  is_seen.set = "seen";
  const Expr choice = Numgen{NumgenKind::Random, 2, 0, 1};
  const Expr is_first = is(Value::host_u32(0), 1);
  const auto at_port = [](std::uint16_t port, std::vector<Expr> exprs) {
    std::vector<Expr> all{load_transport(2, 2), is(Value::be16(port))};
    all.insert(all.end(), exprs.begin(), exprs.end());
    return rule(std::move(all));
  };
  return input_rules(
      {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()}),
       rule({Ct{CtKey::Packets, CtDirection::Original, 2},
             is(bytes_value({1, 0, 0, 0, 0, 0, 0, 0}), 2), choice, is_first, accept()}),
       at_port(22, {load_network(12, 4), choice, is_first, change(DynsetOp::Update), accept()}),
       at_port(23, {load_network(12, 4), change(DynsetOp::Add, 1'500), choice, is_first, accept()}),
       at_port(24, {load_network(12, 4), choice, is_first, change(DynsetOp::Delete)}),
       at_port(25, {choice, is_first, Connlimit{2, true}, drop()}),
       at_port(26, {choice, is_first, Quota{400, 0, true}, drop()}),
       at_port(27, {Numgen{NumgenKind::Incremental, 3, 0, 1}, choice, is_first,
                    Limit{.rate = 3, .per_seconds = 1, .burst = 1}, accept()}),
       rule({load_network(12, 4), is_seen, accept()}), rule({choice, is_first, accept()})},
      {seen});
}

std::string in_words(const Outcomes& outcomes) {
  std::string text;
  for (const Journey& way : outcomes.ways) {
    text += std::to_string(static_cast<int>(way.fate())) + " ";
    for (const HookResult& hook : way.hooks) {
      for (const Step& step : hook.steps) {
        text += std::to_string(step.rule) + (step.matched ? "+" : "-");
      }
    }
    for (const Condition& condition : way.conditions) {
      text += " " + condition.about + ": " + condition.is + ";";
    }
    text += "\n";
  }
  return text;
}

std::uint32_t next_of(std::uint64_t& seed) {
  seed = seed * 6364136223846793005U + 1442695040888963407U;
  return static_cast<std::uint32_t>(seed >> 33);
}

Packet packet_of(std::uint64_t& seed) {
  PacketFields packet =
      fields(next_of(seed) % 2 == 0 ? 6 : 17, static_cast<std::uint16_t>(22 + next_of(seed) % 8));
  packet.source = address(("192.0.2." + std::to_string(1 + next_of(seed) % 6)).c_str());
  packet.source_port = static_cast<std::uint16_t>(40000 + next_of(seed) % 3);
  packet.tcp_flags = next_of(seed) % 4 == 0 ? 0x04 : 0x02;  // a reset, or the first
  if (next_of(seed) % 8 == 0) packet.more_fragments = true;
  return arriving(packet);
}

TEST_CASE("a way that is tried leaves nothing behind") {
  Host on = host();
  on.conntrack.max = 8;  // a connection must make room
  const Ruleset rules = rules_that_remember();
  on.conntrack.udp_timeout = 1;  // some connections end with a packet: over, or not
  std::uint64_t several = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Evaluator tried(rules, on);
    Evaluator untried(rules, on);
    Evaluator plain(rules, on);
    std::uint64_t state = seed;
    Options options{.keep_state = true, .clock_error_ns = kTenth};
    for (int i = 0; i < 60; ++i) {
      options.now_ns += next_of(state) % 5 * kTenth + 1;
      const Packet packet = packet_of(state);
      const Outcomes ways = tried.outcomes(packet, Direction::Arrive, options);
      CHECK_EQ(in_words(tried.outcomes(packet, Direction::Arrive, options)), in_words(ways));
      const Outcomes next = tried.next(packet, Direction::Arrive, options);
      REQUIRE_EQ(in_words(next), in_words(untried.next(packet, Direction::Arrive, options)));
      // By the first way alone, of which nothing is taken back.
      const Journey first = plain.arrive(packet, options);
      REQUIRE_EQ(next.ways.front().fate(), first.fate());
      several += next.ways.size() > 1 ? 1 : 0;
    }
  }
  CHECK(several > 200);
}

}  // namespace
}  // namespace rolewall::eval
