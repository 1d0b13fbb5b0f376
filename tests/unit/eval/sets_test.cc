#include "eval/sets.h"

#include <doctest/doctest.h>

#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

Set interval_set(const std::vector<std::array<std::uint16_t, 2>>& ranges) {
  Set set;
  set.name = "s";
  set.interval = true;
  set.key = {{DataType::InetService, 2}};
  set.elements.key_size = 2;
  for (const auto& [from, to] : ranges) {
    const Value low = Value::be16(from), high = Value::be16(to);
    set.elements.keys.insert(set.elements.keys.end(), low.begin(), low.end());
    set.elements.key_ends.insert(set.elements.key_ends.end(), high.begin(), high.end());
  }
  return set;
}
std::uint32_t find(const Set& set, std::uint16_t port) {
  return SetIndex(set).find(Value::be16(port).begin());
}

TEST_CASE("intervals, sorted or not, hold their ends and nothing else") {
  for (const auto& set : {interval_set({{10, 20}, {30, 30}, {40, 65535}}),
                          interval_set({{40, 65535}, {10, 20}, {30, 30}})}) {
    for (const std::uint16_t in : Words{10, 15, 20, 30, 40, 65535})
      CHECK(find(set, in) != SetIndex::kNone);
    for (const std::uint16_t out : Words{0, 9, 21, 29, 31, 39})
      CHECK(find(set, out) == SetIndex::kNone);
  }
  CHECK(find(interval_set({}), 1) == SetIndex::kNone);
}

TEST_CASE("intervals that overlap are still all found") {
  const Set set = interval_set({{10, 100}, {20, 30}});
  for (const std::uint16_t in : Words{10, 25, 50, 100}) CHECK(find(set, in) != SetIndex::kNone);
}

// Hashed, or where they are many and sorted, halved.
TEST_CASE("every key of a large exact set is found, and its neighbours are not") {
  for (const unsigned count : {5000U, 40'000U}) {
    for (const bool sorted : {true, false}) {
      std::vector<std::vector<std::uint8_t>> keys;
      for (unsigned i = 0; i < count; ++i) {
        const unsigned number = sorted ? i : count - i;
        keys.push_back(
            {10, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number), 2});
      }
      const Set set = exact_set("s", {{DataType::Ipv4Address, 4}}, keys);
      const SetIndex index(set);
      std::size_t wrong = 0;
      for (unsigned i = 0; i < keys.size(); ++i) {
        if (index.find(keys[i].data()) != i) ++wrong;
        keys[i][3] = 3;
        if (index.find(keys[i].data()) != SetIndex::kNone) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("a concatenation of ranges matches field by field") {
  Set set;
  set.name = "s";
  set.interval = true;
  set.key = {{DataType::Ipv4Address, 4}, {DataType::InetService, 2}};
  set.elements.key_size = 8;
  set.elements.keys = {10, 0, 0, 0, 0, 80, 0, 0};
  set.elements.key_ends = {10, 0, 0, 255, 0, 90, 0, 0};
  const auto match = [&](const char* source, std::uint16_t port) {
    PacketFields packet = fields(6, port);
    packet.source = address(source);
    return matches({load_network(12, 4, 0), load_transport(2, 2, 1), Lookup{.set = "s"}},
                   arriving(packet), {set});
  };
  CHECK(match("10.0.0.7", 80));
  CHECK(match("10.0.0.255", 90));
  CHECK_FALSE(match("10.0.1.0", 85));
  CHECK_FALSE(match("10.0.0.7", 91));
  CHECK_FALSE(match("10.0.0.7", 79));
}

TEST_CASE("an inverted lookup breaks where the key is there") {
  const Set set = exact_set("s", {{DataType::InetService, 2}}, {{0, 22}});
  CHECK_FALSE(matches({load_transport(2, 2), Lookup{.set = "s", .inverted = true}},
                      arriving(fields(6, 22)), {set}));
  CHECK(matches({load_transport(2, 2), Lookup{.set = "s", .inverted = true}},
                arriving(fields(6, 23)), {set}));
}

TEST_CASE("a map gives a value, or breaks") {
  Set set = exact_set("s", {{DataType::InetService, 2}}, {{0, 22}, {0, 80}});
  set.kind = SetKind::Map;
  set.data = {DataType::Mark, 4};
  set.elements.data_size = 4;
  set.elements.data = {1, 0, 0, 0, 2, 0, 0, 0};
  const std::vector<Expr> exprs{load_transport(2, 2),
                                Lookup{.set = "s", .result = LookupResult::Data, .destination = 3},
                                is(Value::host_u32(2), 3)};
  CHECK(matches(exprs, arriving(fields(6, 80)), {set}));
  CHECK_FALSE(matches(exprs, arriving(fields(6, 22)), {set}));
  CHECK_FALSE(matches(exprs, arriving(fields(6, 99)), {set}));
  set.elements.has_catch_all = true;
  set.elements.catch_all_data = {2, 0, 0, 0};
  CHECK(matches(exprs, arriving(fields(6, 99)), {set}));
}

TEST_CASE("a verdict map's miss breaks the rule, its hit ends it") {
  Set set = exact_set("s", {{DataType::InetService, 2}}, {{0, 22}, {0, 80}});
  set.kind = SetKind::VerdictMap;
  set.elements.verdicts = {{VerdictCode::Accept, "", 0}, {VerdictCode::Jump, "c", 0}};
  const auto rules =
      one_table({base_chain({rule({load_transport(2, 2),
                                   Lookup{.set = "s", .result = LookupResult::Verdict}, drop()}),
                             rule({Reject{}})}),
                 plain_chain("c", {rule({drop()})})},
                {set});
  CHECK_EQ(fate_of(rules, arriving(fields(6, 22))), Fate::Accept);
  CHECK_EQ(fate_of(rules, arriving(fields(6, 80))), Fate::Drop);
  CHECK_EQ(fate_of(rules, arriving(fields(6, 23))), Fate::Reject);
}

// A capture's clock is the calendar's, and what is left of an element is left at its first packet.
TEST_CASE("an element that has expired is not there") {
  Set set = exact_set("s", {{DataType::InetService, 2}}, {{0, 22}});
  set.has_timeout = true;
  set.timeout_ms = 5000;
  const auto rules =
      input_rules({rule({load_transport(2, 2), Lookup{.set = "s"}, accept()})}, {set});
  const Host on = host();
  Evaluator evaluator(rules, on);
  const Packet packet = arriving(fields(6, 22));
  constexpr std::uint64_t kBegin = 1'700'000'000'000'000'000;
  const auto fate = [&](std::uint64_t after_ns) {
    return evaluator.arrive(packet, {.keep_state = true, .now_ns = kBegin + after_ns}).fate();
  };
  CHECK_EQ(fate(0), Fate::Accept);
  CHECK_EQ(fate(4'980'000'000), Fate::Accept);
  CHECK(evaluator.arrive(packet, {.keep_state = true, .now_ns = kBegin + 4'980'000'000})
            .conditions.empty());
  // At its end either may be so: the kernel counts in ticks.
  CHECK_FALSE(evaluator.arrive(packet, {.keep_state = true, .now_ns = kBegin + 5'000'000'000})
                  .conditions.empty());
  CHECK_EQ(fate(5'020'000'000), Fate::Drop);
  evaluator.reset();
  CHECK_EQ(fate(6'000'000'000), Fate::Accept);
}

TEST_CASE("a set that the decoder could not read makes what asks it undecided") {
  Set set = exact_set("s", {{DataType::InetService, 2}}, {{0, 22}});
  set.unsupported = "attribute 31 is unknown";
  const auto rules =
      input_rules({rule({load_transport(2, 2), Lookup{.set = "s"}, accept()})}, {set});
  CHECK_EQ(fate_of(rules, arriving(fields(6, 22))), Fate::Undecided);
}

}  // namespace
}  // namespace rolewall::eval
