#include <doctest/doctest.h>

#include <set>

#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

struct Run {
  explicit Run(Ruleset with) : rules(std::move(with)), evaluator(rules, on) {}
  bool accepts(const Packet& packet, std::uint64_t now_ns = 0) {
    return evaluator.arrive(packet, {.keep_state = true, .now_ns = now_ns}).fate() == Fate::Accept;
  }
  Host on = host();
  Ruleset rules;
  Evaluator evaluator;
};

Packet from(const char* source, std::uint16_t port = 40000) {
  PacketFields packet = fields(6, 22);
  packet.source = address(source);
  packet.source_port = port;
  return arriving(packet);
}

TEST_CASE("a limit has its burst, then what time gives back") {
  Run run(input_rules({rule({Limit{.rate = 10, .per_seconds = 60, .burst = 3}, accept()})}));
  const Packet packet = from("192.0.2.7");
  for (int i = 0; i < 3; ++i) CHECK(run.accepts(packet));
  CHECK_FALSE(run.accepts(packet));
  CHECK_FALSE(run.accepts(packet, 6 * kSecond - 1));
  CHECK(run.accepts(packet, 6 * kSecond));
  CHECK_FALSE(run.accepts(packet, 6 * kSecond));
  for (int i = 0; i < 3; ++i) CHECK(run.accepts(packet, 1000 * kSecond));  // never above the burst
  CHECK_FALSE(run.accepts(packet, 1000 * kSecond));
}

TEST_CASE("a burst of zero is five packets, or the rate in bytes") {
  Run packets(input_rules({rule({Limit{.rate = 1, .per_seconds = 86400}, accept()})}));
  for (int i = 0; i < 5; ++i) CHECK(packets.accepts(from("192.0.2.7")));
  CHECK_FALSE(packets.accepts(from("192.0.2.7")));
  Run bytes(input_rules({rule({Limit{.unit = LimitUnit::Bytes, .rate = 128}, accept()})}));
  for (int i = 0; i < 2; ++i) CHECK(bytes.accepts(from("192.0.2.7")));
  CHECK_FALSE(bytes.accepts(from("192.0.2.7")));
}

TEST_CASE("over turns a limit round, and is spent all the same") {
  Run run(input_rules(
      {rule({Limit{.rate = 1, .per_seconds = 86400, .burst = 2, .over = true}, accept()})}));
  CHECK_FALSE(run.accepts(from("192.0.2.7")));
  CHECK_FALSE(run.accepts(from("192.0.2.7")));
  CHECK(run.accepts(from("192.0.2.7")));
}

TEST_CASE("a limit that the clock's error could sway is conditional") {
  constexpr std::uint64_t kMillisecond = 1'000'000;
  Run run(input_rules({rule({Limit{.rate = 10, .burst = 3}, accept()})}));
  const auto take = [&](std::uint64_t now_ns) {
    return run.evaluator.arrive(
        from("192.0.2.7"),
        {.keep_state = true, .now_ns = now_ns, .clock_error_ns = 2 * kMillisecond});
  };
  const auto passes = [&](std::uint64_t now_ns, Fate fate) {
    const Journey journey = take(now_ns);
    CHECK(journey.fate() == fate);
    CHECK(journey.conditions.empty());
  };
  for (int i = 0; i < 3; ++i) passes(0, Fate::Accept);
  passes(0, Fate::Drop);
  passes(97 * kMillisecond, Fate::Drop);  // a tenth of a second gives the next, less the error
  const Journey journey = take(99 * kMillisecond);
  REQUIRE(journey.conditions.size() == 1);
  CHECK(journey.conditions[0] ==
        Condition{.about = "the limit still has tokens at this packet", .is = "no"});
  // Errors do not add up: the clock is off by as much at the thousandth packet as at the first.
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const std::uint64_t now = kSecond + i * 150 * kMillisecond;
    passes(now, Fate::Accept);
  }
}

TEST_CASE("only what reaches a limit spends it") {
  auto exprs = destination_port_is(6, 22);
  exprs.push_back(Limit{.rate = 1, .per_seconds = 86400, .burst = 1});
  exprs.push_back(accept());
  Run run(input_rules({rule(exprs)}));
  CHECK_FALSE(run.accepts(arriving(fields(6, 23))));
  CHECK(run.accepts(arriving(fields(6, 22))));
  CHECK_FALSE(run.accepts(arriving(fields(6, 22))));
}

TEST_CASE("without keep_state every packet finds nothing spent") {
  Run run(input_rules({rule({Limit{.rate = 1, .per_seconds = 86400, .burst = 1}, accept()})}));
  const Packet packet = from("192.0.2.7");
  for (int i = 0; i < 3; ++i) CHECK_EQ(run.evaluator.arrive(packet).fate(), Fate::Accept);
  CHECK(run.accepts(packet));
  CHECK_FALSE(run.accepts(packet));
  run.evaluator.reset();
  CHECK(run.accepts(packet));
}

TEST_CASE("a quota counts what it has let by before") {
  Run run(input_rules({rule({Quota{.bytes = 200, .consumed = 10}, accept()})}));
  CHECK(run.accepts(from("192.0.2.7")));        // 74
  CHECK(run.accepts(from("192.0.2.7")));        // 138
  CHECK_FALSE(run.accepts(from("192.0.2.7")));  // 202
}

TEST_CASE("connections count once each, and only where they come to be") {
  const auto rules = input_rules({rule({Connlimit{.count = 2}, accept()})});
  Run run(rules);
  CHECK(run.accepts(from("192.0.2.7", 1)));
  CHECK(run.accepts(from("192.0.2.7", 1)));
  CHECK(run.accepts(from("192.0.2.7", 2)));
  CHECK_FALSE(run.accepts(from("192.0.2.7", 3)));
  CHECK_FALSE(run.accepts(from("192.0.2.7", 4)));  // 3 was denied, and is no connection
  // The kernel looks no further than to the packet's own connection: 4 is still in its list.
  CHECK_FALSE(run.accepts(from("192.0.2.7", 2)));
  // A packet from which no flow can be told is dropped by the count itself.
  PacketFields cut = fields(6);
  cut.truncate_transport_to = 2;
  const auto policy_accepts =
      one_table({base_chain({rule({Connlimit{.count = 2, .over = true}, accept()})}, Hook::Input, 0,
                            VerdictCode::Accept)});
  CHECK_EQ(fate_of(policy_accepts, arriving(cut)), Fate::Drop);
}

TEST_CASE("connections that have ended are not counted") {
  const auto rules = one_table({base_chain({rule({Connlimit{.count = 1, .over = true}, drop()})},
                                           Hook::Input, 0, VerdictCode::Accept)});
  Run run(rules);
  const auto tcp = [](std::uint16_t port, std::uint8_t flags) {
    PacketFields packet = fields(6, 22);
    packet.source_port = port;
    packet.tcp_flags = flags;
    return arriving(packet);
  };
  std::uint64_t now = 0;
  for (std::uint16_t port = 1; port <= 3; ++port) {
    CHECK(run.accepts(tcp(port, 0x02), now += kSecond));
    CHECK(run.accepts(tcp(port, 0x04), now += kSecond));  // before any reply: that ends it
  }
  const auto udp = [](std::uint16_t port) {
    PacketFields packet = fields(17, 53);
    packet.source_port = port;
    return arriving(packet);
  };
  CHECK(run.accepts(udp(1), now += kSecond));
  CHECK_FALSE(run.accepts(udp(2), now += kSecond));
  CHECK(run.accepts(udp(3), now += 60 * kSecond));  // 1 has timed out

  // Within a tick of the kernel's clock it may not look again, and what another processor has
  // counted stays for two.
  CHECK(run.accepts(tcp(9, 0x02), now += 60 * kSecond));
  CHECK(run.accepts(tcp(9, 0x04), now += kSecond));
  const auto ways =
      run.evaluator
          .next(tcp(10, 0x02), Direction::Arrive, {.keep_state = true, .now_ns = now + 1'000'000})
          .ways;
  REQUIRE_EQ(ways.size(), 3);
  CHECK_EQ(ways[0].fate(), Fate::Accept);
  CHECK_EQ(ways[1].fate(), Fate::Drop);
  CHECK_EQ(ways[2].fate(), Fate::Drop);
}

TEST_CASE("a set looks for connections that have ended by itself, between two of the same ends") {
  Set counts;
  counts.name = "s";
  counts.key = {{DataType::Ipv4Address, 4}};
  counts.dynamic = true;
  counts.size = 8;
  Dynset dynset;
  dynset.op = DynsetOp::Add;
  dynset.set = "s";
  dynset.exprs = {Connlimit{.count = 1, .over = true}};
  const auto udp = [](bool back, std::uint16_t port) {
    PacketFields packet = fields(17, port);
    packet.source_port = 4000;
    if (back) {
      std::swap(packet.source, packet.destination);
      std::swap(packet.source_port, packet.destination_port);
    }
    if (!back) return arriving(packet);
    Packet sent = build(packet);
    sent.out_device = "eth0";
    return sent;
  };
  for (const bool in_set : {true, false}) {
    std::vector<Expr> exprs{load_network(12, 4)};
    if (in_set) exprs.emplace_back(dynset);
    if (!in_set) exprs.emplace_back(Connlimit{.count = 1, .over = true});
    exprs.push_back(drop());
    auto chain = base_chain({rule(std::move(exprs))}, Hook::Input, 0, VerdictCode::Accept);
    Run run(one_table({std::move(chain)}, in_set ? std::vector{counts} : std::vector<Set>{}));
    CHECK(run.accepts(udp(false, 53), kSecond));
    // It has timed out, and the other end begins one between the same two.
    const Options later{.keep_state = true, .now_ns = 60 * kSecond};
    CHECK_EQ(run.evaluator.send(udp(true, 53), later).fate(), Fate::Accept);
    const auto ways =
        run.evaluator
            .next(udp(false, 54), Direction::Arrive, {.keep_state = true, .now_ns = 61 * kSecond})
            .ways;
    CHECK_EQ(ways.size(), in_set ? 2 : 1);
    CHECK(std::ranges::count(ways, Fate::Drop, &Journey::fate) == 1);
    CHECK(std::ranges::count(ways, Fate::Accept, &Journey::fate) == (in_set ? 1 : 0));
  }
}

Set per_source(std::uint32_t size, std::uint64_t timeout_ms = 0) {
  Set set;
  set.name = "s";
  set.key = {{DataType::Ipv4Address, 4}};
  set.dynamic = true;
  set.size = size;
  set.has_timeout = timeout_ms != 0;
  set.timeout_ms = timeout_ms;
  return set;
}
Rule limited(DynsetOp op = DynsetOp::Update, bool inverted = false) {
  Dynset dynset;
  dynset.op = op;
  dynset.set = "s";
  dynset.inverted = inverted;
  dynset.exprs = {Limit{.rate = 1, .per_seconds = 86400, .burst = 1}};
  return rule({load_network(12, 4), dynset, accept()});
}

TEST_CASE("each source has a limit of its own, while the set has room") {
  Run run(input_rules({limited()}, {per_source(2)}));
  CHECK(run.accepts(from("192.0.2.1")));
  CHECK_FALSE(run.accepts(from("192.0.2.1")));
  CHECK(run.accepts(from("192.0.2.2")));
  CHECK_FALSE(run.accepts(from("192.0.2.3")));  // full: the rule breaks
  CHECK_FALSE(run.accepts(from("192.0.2.1")));
}

TEST_CASE("an element that packets added expires, and update renews it") {
  Run run(input_rules({limited()}, {per_source(1, 10'000)}));
  CHECK(run.accepts(from("192.0.2.1")));
  CHECK_FALSE(run.accepts(from("192.0.2.2"), 5 * kSecond));
  CHECK_FALSE(run.accepts(from("192.0.2.1"), 9 * kSecond));   // renewed until 19
  CHECK_FALSE(run.accepts(from("192.0.2.2"), 15 * kSecond));  // still full
  CHECK(run.accepts(from("192.0.2.2"), 19 * kSecond));
  Run added(input_rules({limited(DynsetOp::Add)}, {per_source(1, 10'000)}));
  CHECK(added.accepts(from("192.0.2.1")));
  CHECK_FALSE(added.accepts(from("192.0.2.1"), 9 * kSecond));
  CHECK(added.accepts(from("192.0.2.2"), 15 * kSecond));
}

// "add @s { ip saddr timeout ... }" on the port, or `update`.
Rule noting(std::uint16_t port, DynsetOp op, std::uint64_t timeout_ms) {
  auto exprs = destination_port_is(6, port);
  Dynset dynset;
  dynset.op = op;
  dynset.set = "s";
  dynset.timeout_ms = timeout_ms;
  exprs.insert(exprs.end(), {load_network(12, 4), dynset, accept()});
  return rule(std::move(exprs));
}
Set aging(std::uint32_t size) {
  Set set = per_source(size);
  set.has_timeout = true;
  return set;
}
Rule noted(std::uint16_t port) {
  auto exprs = destination_port_is(6, port);
  exprs.insert(exprs.end(), {load_network(12, 4), Lookup{.set = "s"}, accept()});
  return rule(std::move(exprs));
}
Packet to(std::uint16_t port, const char* source = "192.0.2.1") {
  PacketFields packet = fields(6, port);
  packet.source = address(source);
  return arriving(packet);
}

TEST_CASE("update gives an element of the ruleset another end, sooner or later") {
  Set set = aging(8);
  set.elements.key_size = 4;
  set.elements.keys = {192, 0, 2, 1, 192, 0, 2, 2, 192, 0, 2, 3};
  set.elements.timeouts_ms = {1000, 10'000, 0};
  Run run(input_rules({noting(10, DynsetOp::Update, 2000), noted(11)}, {set}));
  constexpr std::uint64_t kMillisecond = 1'000'000;
  for (const char* source : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
    CHECK(run.accepts(to(10, source), kSecond));
  }
  CHECK(run.accepts(to(11), kSecond + 1500 * kMillisecond));
  CHECK_FALSE(run.accepts(to(11), kSecond + 2500 * kMillisecond));
  CHECK_FALSE(run.accepts(to(11, "192.0.2.2"), kSecond + 2500 * kMillisecond));
  CHECK(run.accepts(to(11, "192.0.2.3"), 3600 * kSecond));  // what has no end gets none
}

TEST_CASE("update without a time ends at once what has an end") {
  Run run(input_rules({noting(10, DynsetOp::Add, 400), noting(11, DynsetOp::Update, 0), noted(12)},
                      {aging(8)}));
  CHECK(run.accepts(to(10), kSecond));
  CHECK(run.accepts(to(12), kSecond));
  CHECK(run.accepts(to(11), kSecond));
  CHECK_FALSE(run.accepts(to(12), kSecond));
  CHECK(run.accepts(to(10), kSecond));
  CHECK(run.accepts(to(12), kSecond));
}

TEST_CASE("what has ended takes its room until the collector has run: conditional") {
  const auto rules = input_rules({noting(10, DynsetOp::Add, 300)}, {aging(2)});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const auto fates = [&](const char* source, std::uint64_t milliseconds) {
    std::set<Fate> all;
    const Outcomes outcomes =
        evaluator.next(to(10, source), Direction::Arrive,
                       {.keep_state = true, .now_ns = kSecond + milliseconds * 1'000'000});
    for (const Journey& way : outcomes.ways) all.insert(way.fate());
    return all;
  };
  using Fates = std::set<Fate>;
  CHECK(fates("192.0.2.1", 0) == Fates{Fate::Accept});
  CHECK(fates("192.0.2.2", 0) == Fates{Fate::Accept});
  CHECK(fates("192.0.2.3", 0) == Fates{Fate::Drop});
  CHECK(fates("192.0.2.3", 800) == Fates{Fate::Accept, Fate::Drop});
  CHECK(fates("192.0.2.4", 5000) == Fates{Fate::Accept});
}

TEST_CASE("elements of the ruleset take part, and can be taken away") {
  Set set = per_source(8);
  set.elements.key_size = 4;
  set.elements.keys = {192, 0, 2, 1};
  set.exprs = {Limit{.rate = 1, .per_seconds = 86400, .burst = 2}};
  Dynset remove;
  remove.op = DynsetOp::Delete;
  remove.set = "s";
  auto on_23 = destination_port_is(6, 23);
  on_23.insert(on_23.end(), {load_network(12, 4), remove});
  Run run(input_rules(
      {rule({load_network(12, 4), Lookup{.set = "s"}, accept()}), rule(std::move(on_23))}, {set}));
  CHECK(run.accepts(from("192.0.2.1")));
  CHECK(run.accepts(from("192.0.2.1")));
  CHECK_FALSE(run.accepts(from("192.0.2.1")));  // its own limit
  CHECK_FALSE(run.accepts(from("192.0.2.2")));
  run.evaluator.reset();
  PacketFields away = fields(6, 23);
  away.source = address("192.0.2.1");
  CHECK(run.accepts(arriving(away)));  // matched, and not removed: the rule came first
  CHECK(run.accepts(arriving(away)));
  CHECK_FALSE(run.accepts(arriving(away)));  // broken by the limit; removed by the second rule
  run.evaluator.reset();
  CHECK(run.accepts(from("192.0.2.1")));
}

// Port 22 adds its source, or breaks where there is no room; port 23 takes it away.
Ruleset adds_and_removes(Set set) {
  const auto change = [](DynsetOp op) {
    Dynset dynset;
    dynset.op = op;
    dynset.set = "s";
    return dynset;
  };
  auto remove = destination_port_is(6, 23);
  remove.insert(remove.end(), {load_network(12, 4), change(DynsetOp::Delete), accept()});
  return input_rules(
      {rule(std::move(remove)), rule({load_network(12, 4), change(DynsetOp::Update), accept()})},
      {std::move(set)});
}
Packet removing(const char* source) {
  PacketFields packet = fields(6, 23);
  packet.source = address(source);
  return arriving(packet);
}

TEST_CASE("a set has room as elements of the ruleset go and come again") {
  Set set = per_source(3);
  set.elements.key_size = 4;
  set.elements.keys = {192, 0, 2, 1, 192, 0, 2, 2};
  Run run(adds_and_removes(set));
  CHECK(run.accepts(removing("192.0.2.1")));
  CHECK(run.accepts(from("192.0.2.1")));
  CHECK(run.accepts(from("192.0.2.3")));
  CHECK_FALSE(run.accepts(from("192.0.2.4")));
  CHECK(run.accepts(removing("192.0.2.2")));
  CHECK(run.accepts(removing("192.0.2.1")));
  CHECK(run.accepts(removing("192.0.2.1")));  // not there any more
  CHECK(run.accepts(from("192.0.2.4")));
  CHECK(run.accepts(from("192.0.2.5")));
  CHECK_FALSE(run.accepts(from("192.0.2.6")));
  CHECK(run.accepts(removing("192.0.2.5")));
  CHECK(run.accepts(from("192.0.2.6")));
  CHECK_FALSE(run.accepts(from("192.0.2.1")));
}

TEST_CASE("a set has room when elements of the ruleset end") {
  Set set = per_source(2, 10'000);
  set.elements.key_size = 4;
  set.elements.keys = {192, 0, 2, 1, 192, 0, 2, 2};
  set.elements.expirations_ms = {5'000, 8'000};
  Run run(adds_and_removes(set));
  CHECK_FALSE(run.accepts(from("192.0.2.3"), 0));
  CHECK_FALSE(run.accepts(from("192.0.2.3"), 4 * kSecond));
  CHECK(run.accepts(from("192.0.2.3"), 6 * kSecond));
  CHECK_FALSE(run.accepts(from("192.0.2.4"), 7 * kSecond));
  // One that has ended comes again, and ends again: the ruleset's does not come back.
  CHECK(run.accepts(from("192.0.2.2"), 9 * kSecond));
  CHECK_FALSE(run.accepts(from("192.0.2.4"), 10 * kSecond));
  CHECK(run.accepts(from("192.0.2.4"), 17 * kSecond));  // .3 has ended at 16
  CHECK_FALSE(run.accepts(from("192.0.2.5"), 18 * kSecond));
  CHECK(run.accepts(from("192.0.2.5"), 20 * kSecond));  // .2 at 19
  // One that is taken away before its end is not counted twice.
  Run removed(adds_and_removes(set));
  CHECK(removed.accepts(removing("192.0.2.1"), 0));
  CHECK(removed.accepts(from("192.0.2.3"), 1 * kSecond));
  CHECK_FALSE(removed.accepts(from("192.0.2.4"), 6 * kSecond));
}

TEST_CASE("an element that never ends is there when the others have ended") {
  Set set = per_source(3, 10'000);
  set.elements.key_size = 4;
  set.elements.keys = {192, 0, 2, 1, 192, 0, 2, 2};
  set.elements.timeouts_ms = {0, kNeverEnds};
  Run run(adds_and_removes(set));
  CHECK(run.accepts(from("192.0.2.3"), 0));
  CHECK_FALSE(run.accepts(from("192.0.2.4"), 1 * kSecond));
  CHECK(run.accepts(from("192.0.2.4"), 30 * kSecond));  // .1 and .3 have ended
  CHECK(run.accepts(from("192.0.2.5"), 30 * kSecond));
  CHECK_FALSE(run.accepts(from("192.0.2.6"), 30 * kSecond));  // .2 has not
}

TEST_CASE("what ended often is counted right, however often it was renewed") {
  Run run(adds_and_removes(per_source(2, 10'000)));
  for (std::uint64_t second = 0; second < 100; ++second) {
    CHECK(run.accepts(from("192.0.2.1"), second * kSecond));
    if (second % 20 == 3) CHECK(run.accepts(from("192.0.2.2"), second * kSecond));
    const bool ended = second % 20 >= 13 || second % 20 < 3;
    if (second % 20 != 3 && !ended) {
      CHECK_FALSE(run.accepts(from("192.0.2.3"), second * kSecond));
    }
  }
}

TEST_CASE("what packets add is found by lookups, with its value") {
  Set set = per_source(8);
  set.kind = SetKind::Map;
  set.data = {DataType::Mark, 4};
  Dynset dynset;
  dynset.op = DynsetOp::Add;
  dynset.set = "s";
  dynset.data = 1;
  auto knock = destination_port_is(6, 7);
  knock.insert(knock.end(),
               {load_network(12, 4), Immediate{1, Value::host_u32(9)}, dynset, drop()});
  Run run(input_rules({rule(std::move(knock)),
                       rule({load_network(12, 4),
                             Lookup{.set = "s", .result = LookupResult::Data, .destination = 2},
                             is(Value::host_u32(9), 2), accept()})},
                      {set}));
  CHECK_FALSE(run.accepts(arriving(fields(6, 22))));
  CHECK_FALSE(run.accepts(arriving(fields(6, 7))));
  CHECK(run.accepts(arriving(fields(6, 22))));
}

}  // namespace
}  // namespace rolewall::eval
