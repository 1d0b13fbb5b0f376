// Which packets an edit of a small ruleset can touch, and which rules few packets can be passed by.
#include "analyze/edit.h"

#include <doctest/doctest.h>

#include <array>

#include "analyze/bounds.h"
#include "ruleset/expr.h"
#include "unit/analyze/input_chain.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names
using test::with_input;

constexpr Register kRegister = 4;
constexpr std::uint8_t kTcpNumber = 6;
constexpr std::uint8_t kUdpNumber = 17;

Rule to_port(std::uint8_t protocol, std::uint16_t port, const Verdict& verdict) {
  Rule rule;
  rule.exprs = {Meta{MetaKey::L4Proto, kRegister}, Cmp{CmpOp::Eq, kRegister, Value::u8(protocol)},
                Payload{PayloadBase::Transport, 2, 2, kRegister},
                Cmp{CmpOp::Eq, kRegister, Value::be16(port)}, ImmediateVerdict{verdict}};
  return rule;
}

const Verdict kAccept{VerdictCode::Accept, "", 0};

Ruleset with_called(std::vector<Rule> called) {
  Ruleset ruleset = with_input({to_port(kTcpNumber, 22, {VerdictCode::Jump, "called", 0})});
  Chain& chain = ruleset.tables.front().chains.emplace_back();
  chain.name = "called";
  chain.rules = std::move(called);
  return ruleset;
}

Ruleset with_ports(std::initializer_list<std::uint8_t> ports) {
  Rule rule = to_port(kTcpNumber, 0, kAccept);
  rule.exprs[3] = Lookup{.set = "ports", .source = kRegister};
  Ruleset ruleset = with_input({rule});
  Set& set = ruleset.tables.front().sets.emplace_back();
  set.name = "ports";
  set.key = {{.size = 2}};
  set.elements.key_size = 2;
  for (const std::uint8_t port : ports) {
    set.elements.keys.push_back(0);
    set.elements.keys.push_back(port);
  }
  return ruleset;
}

// What an edit can touch of what arrives, and questions about it.
class Touched {
 public:
  Touched(const Ruleset& before, const Ruleset& after)
      : space_(diagrams_, true),
        before_(std::make_shared<RulesetFacts>(before)),
        after_(std::make_shared<RulesetFacts>(after)),
        places_(before_->tables(), after_->tables()),
        shared_{.places = places_} {
    Edit edit({before, host_, places_.before(), before_}, {after, host_, places_.after(), after_},
              shared_);
    packets_ = edit.packets(diagrams_, space_, Direction::Arrive, space_.packets());
  }
  bool is_nothing() const { return packets_ == kNothing; }
  bool is_everything() { return diagrams_.minus(space_.packets(), packets_) == kNothing; }
  bool has_some(std::uint8_t protocol, std::uint16_t first, std::uint16_t last) {
    return diagrams_.both(packets_, to(protocol, first, last)) != kNothing;
  }
  bool has_all(std::uint8_t protocol, std::uint16_t port) {
    return diagrams_.minus(to(protocol, port, port), packets_) == kNothing;
  }

 private:
  Diagram to(std::uint8_t protocol, std::uint16_t first, std::uint16_t last) {
    const Diagram ports = diagrams_.where(space_.field(Part::Transport2), first, last);
    return diagrams_.both(space_.packets(),
                          diagrams_.both(space_.is(Part::Protocol, protocol), ports));
  }

  Host host_;
  Diagrams diagrams_;
  PacketSpace space_;
  std::shared_ptr<const RulesetFacts> before_;
  std::shared_ptr<const RulesetFacts> after_;
  Places places_;
  Shared shared_;
  Diagram packets_ = kNothing;
};

TEST_CASE("the same rules touch nothing") {
  const Ruleset ruleset = with_input({to_port(kTcpNumber, 22, kAccept)});
  CHECK(Touched(ruleset, ruleset).is_nothing());
}

TEST_CASE("a rule more touches what it matches, and nothing else") {
  const Rule ssh = to_port(kTcpNumber, 22, kAccept);
  Touched touched(with_input({ssh}), with_input({ssh, to_port(kTcpNumber, 80, kAccept)}));
  CHECK(touched.has_all(kTcpNumber, 80));
  CHECK(!touched.has_some(kTcpNumber, 0, 79));
  CHECK(!touched.has_some(kTcpNumber, 81, 65535));
  CHECK(!touched.has_some(kUdpNumber, 0, 65535));
}

TEST_CASE("a rule for another touches what either matches") {
  Touched touched(with_input({to_port(kTcpNumber, 22, kAccept)}),
                  with_input({to_port(kUdpNumber, 53, kAccept)}));
  CHECK(touched.has_all(kTcpNumber, 22));
  CHECK(touched.has_all(kUdpNumber, 53));
  CHECK(!touched.has_some(kTcpNumber, 23, 65535));
}

TEST_CASE("in a chain that is called, what comes there") {
  Rule all;
  all.exprs = {ImmediateVerdict{kAccept}};
  Touched touched(with_called({}), with_called({all}));
  CHECK(touched.has_all(kTcpNumber, 22));
  CHECK(!touched.has_some(kTcpNumber, 23, 65535));
  CHECK(!touched.has_some(kUdpNumber, 0, 65535));
}

TEST_CASE("an element more touches the packets that it is about") {
  Touched touched(with_ports({22, 80}), with_ports({22, 80, 90}));
  CHECK(touched.has_all(kTcpNumber, 90));
  CHECK(!touched.has_some(kTcpNumber, 22, 22));
  CHECK(!touched.has_some(kTcpNumber, 80, 80));
}

TEST_CASE("another policy of a base chain touches everything") {
  const Ruleset before = with_input({});
  Ruleset after = before;
  after.tables.front().chains.front().base->policy = VerdictCode::Accept;
  CHECK(Touched(before, after).is_everything());
}

TEST_CASE("few packets pass over the rules that none of them can match") {
  Diagrams diagrams;
  PacketSpace space(diagrams, true);
  const Diagram web = diagrams.where(space.field(Part::Transport2), 80, 90);
  const Diagram packets =
      diagrams.both(space.packets(), diagrams.both(space.is(Part::Protocol, kTcpNumber), web));
  const Bounds bounds(diagrams, space, packets);
  const Environments environments(space);
  const auto refuses = [&](const Rule& rule) { return bounds.refuse(rule.exprs, environments[0]); };
  CHECK(refuses(to_port(kTcpNumber, 22, kAccept)));
  CHECK(refuses(to_port(kUdpNumber, 85, kAccept)));
  CHECK(!refuses(to_port(kTcpNumber, 80, kAccept)));
  CHECK(!refuses(to_port(kTcpNumber, 85, kAccept)));
  Rule logs = to_port(kTcpNumber, 22, kAccept);
  logs.exprs.insert(logs.exprs.begin(), Log{});
  CHECK(!refuses(logs));  // it has an effect before it breaks
}

}  // namespace
}  // namespace rolewall::analyze
