// What a set of ip_set holds is known where nothing changes it: rules that look it up are the same
// as rules that say its elements.
#include <doctest/doctest.h>

#include "analyze/difference.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names

constexpr Register kInTest = 8;
constexpr std::uint8_t kInverted = 1;
constexpr std::uint8_t kFirstIsSource = 2;
constexpr std::uint8_t kReturnsNomatch = 0x80;

// `-m set --match-set s SIDES`, of the set with this number.
Expr in_set(std::uint8_t number, std::uint8_t dimensions, std::uint8_t flags) {
  return XtMatch{"set", 1, {number, 0, dimensions, flags, 0, 0, 0, 0}};
}

Expr then(VerdictCode code) {
  return ImmediateVerdict{{code, "", 0}};
}

std::vector<Expr> from(std::initializer_list<std::uint8_t> network) {
  return {Payload{PayloadBase::Network, 12, static_cast<std::uint32_t>(network.size()), kInTest},
          Cmp{CmpOp::Eq, kInTest, Value(std::vector<std::uint8_t>(network))}};
}
std::vector<Expr> to_port(std::uint8_t protocol, std::uint16_t port) {
  return {Meta{MetaKey::L4Proto, kInTest}, Cmp{CmpOp::Eq, kInTest, Value::u8(protocol)},
          Payload{PayloadBase::Transport, 2, 2, kInTest},
          Cmp{CmpOp::Eq, kInTest, Value::be16(port)}};
}

Rule rule(std::vector<std::vector<Expr>> parts) {
  Rule made;
  for (const auto& part : parts) made.exprs.insert(made.exprs.end(), part.begin(), part.end());
  return made;
}

// Rules of IPv4, on a host whose sets are numbered from 0 in their order.
class Sets {
 public:
  explicit Sets(std::vector<std::string> lines) {
    std::uint16_t number = 0;
    for (const std::string& line : lines) {
      if (!line.starts_with("create ")) continue;
      host_.ipset_numbers.push_back({line.substr(7, line.find(' ', 7) - 7), number++});
    }
    host_.ipsets = std::move(lines);
  }

  bool are_same(std::vector<Rule> one, std::vector<Rule> other) const {
    const Ruleset before = ruleset(std::move(one));
    const Ruleset after = ruleset(std::move(other));
    Difference difference({before, host_}, {after, host_});
    const auto parts = difference.parts(Direction::Arrive);
    REQUIRE(parts);
    return parts->empty() && difference.unlike().empty();
  }

 private:
  static Ruleset ruleset(std::vector<Rule> rules) {
    Ruleset made = test::with_input(std::move(rules));
    made.tables.front().family = Family::Ip;
    return made;
  }
  Host host_;
};

const std::vector<Expr> kThenAccept{then(VerdictCode::Accept)};
const std::vector<Expr> kThenDrop{then(VerdictCode::Drop)};

TEST_CASE("addresses") {
  const Sets sets({"create s hash:ip family inet hashsize 1024 maxelem 65536", "add s 10.0.0.1",
                   "add s 10.0.0.9"});
  const Expr asks = in_set(0, 1, kFirstIsSource);
  const std::vector<Rule> spelt{rule({from({10, 0, 0, 1}), kThenAccept}),
                                rule({from({10, 0, 0, 9}), kThenAccept})};
  CHECK(sets.are_same({rule({{asks}, kThenAccept})}, spelt));
  CHECK_FALSE(sets.are_same({rule({{asks}, kThenAccept})}, {spelt.front()}));
  const Expr asks_not = in_set(0, 1, kFirstIsSource | kInverted);
  CHECK(sets.are_same({rule({{asks_not}, kThenDrop}), rule({kThenAccept})}, spelt));
  // Of the destination it is another question, of no side none.
  CHECK_FALSE(sets.are_same({rule({{in_set(0, 1, 0)}, kThenAccept})}, spelt));
  CHECK(sets.are_same({rule({{in_set(0, 0, 0)}, kThenAccept})}, {}));
}

TEST_CASE("networks, of which the longest counts") {
  const Sets sets({"create s hash:net family inet hashsize 1024 maxelem 65536", "add s 10.9.0.0/16",
                   "add s 10.9.1.0/24 nomatch", "add s 10.9.1.5"});
  CHECK(sets.are_same({rule({{in_set(0, 1, kFirstIsSource)}, kThenAccept})},
                      {rule({from({10, 9, 1, 5}), kThenAccept}),
                       rule({from({10, 9, 1}), kThenDrop}), rule({from({10, 9}), kThenAccept})}));
  CHECK(sets.are_same(
      {rule({{in_set(0, 1, kFirstIsSource | kReturnsNomatch)}, kThenAccept})},
      {rule({from({10, 9, 1, 5}), kThenDrop}), rule({from({10, 9, 1}), kThenAccept})}));
}

TEST_CASE("addresses with ports, and lists") {
  const Sets sets({"create p hash:ip,port family inet hashsize 1024 maxelem 65536",
                   "add p 10.0.0.1,tcp:22", "add p 10.0.0.1,udp:53",
                   "create b bitmap:port range 0-1024", "add b 80", "create l list:set size 8",
                   "add l p", "add l b"});
  const std::vector<Rule> ports{rule({from({10, 0, 0, 1}), to_port(6, 22), kThenAccept}),
                                rule({from({10, 0, 0, 1}), to_port(17, 53), kThenAccept})};
  CHECK(sets.are_same({rule({{in_set(0, 2, kFirstIsSource)}, kThenAccept})}, ports));
  const std::vector<Rule> http{rule({to_port(6, 80), kThenAccept}),
                               rule({to_port(17, 80), kThenAccept})};
  CHECK(sets.are_same({rule({{in_set(1, 1, 0)}, kThenAccept})}, http));
  // Of a list each member takes the sides that it needs: `src,dst` of p, `src` of b.
  const auto from_port = [](std::uint8_t protocol) {
    return rule(
        {{Meta{MetaKey::L4Proto, kInTest}, Cmp{CmpOp::Eq, kInTest, Value::u8(protocol)},
          Payload{PayloadBase::Transport, 0, 2, kInTest}, Cmp{CmpOp::Eq, kInTest, Value::be16(80)}},
         kThenAccept});
  };
  CHECK(sets.are_same({rule({{in_set(2, 2, kFirstIsSource)}, kThenAccept})},
                      {ports[0], ports[1], from_port(6), from_port(17)}));
}

TEST_CASE("what packets or time change is not known") {
  const Sets sets({"create t hash:ip family inet timeout 60", "add t 10.0.0.1 timeout 30",
                   "create u hash:ip family inet", "add u 10.0.0.1"});
  const std::vector<Rule> spelt{rule({from({10, 0, 0, 1}), kThenAccept})};
  CHECK_FALSE(sets.are_same({rule({{in_set(0, 1, kFirstIsSource)}, kThenAccept})}, spelt));
  // `-j SET --add-set u src`, struct xt_set_info_target_v1.
  const Expr adds = XtTarget{"SET", 1, {1, 0, 1, 2, 0xff, 0xff, 0, 0}};
  const Rule asks = rule({{in_set(1, 1, kFirstIsSource)}, kThenAccept});
  CHECK(sets.are_same({asks}, spelt));
  const Rule changes = rule({from({10, 0, 0, 2}), {adds}});
  CHECK(sets.are_same({asks, changes}, {asks, changes}));
  CHECK_FALSE(sets.are_same({asks, changes}, {spelt.front(), changes}));
}

}  // namespace
}  // namespace rolewall::analyze
