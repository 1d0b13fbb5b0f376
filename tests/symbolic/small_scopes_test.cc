// Small scopes, all of them: every chain of up to three rules, each of one of eight matches and one
// of four verdicts, and every packet of a grid. What random rules might miss is not missed here.
#include <doctest/doctest.h>

#include <array>
#include <memory>
#include <vector>

#include "analyze/analysis.h"
#include "analyze/way.h"
#include "analyze/witness.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "random_rules.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::symbolic {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names

constexpr Register kReg = 8;

Value device(std::string_view name) {
  std::vector<std::uint8_t> padded(16);
  std::copy(name.begin(), name.end(), padded.begin());
  return Value(padded);
}

std::vector<ExprList> matches() {
  const Value network(std::vector<std::uint8_t>{10, 9, 0, 0});
  const Value mask(std::vector<std::uint8_t>{255, 255, 0, 0});
  const Value zero(std::vector<std::uint8_t>{0, 0, 0, 0});
  return {
      {},
      {Payload{PayloadBase::Transport, 2, 2, kReg}, Cmp{CmpOp::Eq, kReg, Value::be16(22)}},
      {Payload{PayloadBase::Transport, 2, 2, kReg},
       Range{true, kReg, Value::be16(22), Value::be16(443)}},
      {Payload{PayloadBase::Network, 12, 4, kReg}, BitwiseMask{kReg, kReg, 4, mask, zero},
       Cmp{CmpOp::Eq, kReg, network}},
      {Meta{MetaKey::L4Proto, kReg}, Cmp{CmpOp::Neq, kReg, Value::u8(6)}},
      {Ct{CtKey::State, std::nullopt, kReg}, Cmp{CmpOp::Eq, kReg, Value::host_u32(8)}},
      {Meta{MetaKey::Mark, kReg}, Cmp{CmpOp::Eq, kReg, Value::host_u32(1)}},
      {Meta{MetaKey::IifName, kReg}, Cmp{CmpOp::Eq, kReg, device("eth0")}},
  };
}

std::vector<ExprList> endings() {
  return {
      {ImmediateVerdict{{VerdictCode::Accept, "", 0}}},
      {ImmediateVerdict{{VerdictCode::Drop, "", 0}}},
      {ImmediateVerdict{{VerdictCode::Return, "", 0}}},
      {Immediate{kReg, Value::host_u32(1)}, MetaSet{MetaKey::Mark, kReg}},
  };
}

std::vector<eval::Packet> grid() {
  std::vector<eval::Packet> packets;
  const auto address = [](const char* text) { return *net::parse_address(text); };
  for (const char* source : {"10.9.0.9", "192.0.2.1"}) {
    for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{1}}) {
      for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{80}, std::uint16_t{500}}) {
        for (const char* in : {"eth0", "eth1"}) {
          eval::PacketFields fields;
          fields.source = address(source);
          fields.destination = address("198.51.100.7");
          fields.protocol = protocol;
          fields.destination_port = port;
          fields.tcp_flags = port == 80 ? 0x12 : 0x02;  // no beginning of a connection
          packets.push_back(eval::build(fields));
          packets.back().in_device = in;
          if (protocol == 1) break;
        }
        if (protocol == 1) break;
      }
    }
  }
  eval::PacketFields ipv6;
  ipv6.source = address("2001:db8:9::9");
  ipv6.destination = address("2001:db8:9::1");
  ipv6.destination_port = 22;
  packets.push_back(eval::build(ipv6));
  packets.back().in_device = "eth0";
  return packets;
}

class Scope {
 public:
  Scope() : host_(host_of_universe(false)), packets_(grid()) {
    Table& table = ruleset_.tables.emplace_back();
    table.name = "t";
    Chain& chain = table.chains.emplace_back();
    chain.name = "input";
    chain.base = BaseChain{ChainType::Filter, Hook::Input, 0, VerdictCode::Drop, {}};
  }

  // The packets on which both differ.
  std::size_t disagreements(const std::vector<Rule>& rules) {
    begin_anew_now_and_then();
    ruleset_.tables.front().chains.front().rules = rules;
    analyze::Machine machine(*diagrams_, *space_, ruleset_, host_);
    const analyze::Diagram fates = analyze::Way(machine).arrive();
    eval::Evaluator evaluator(ruleset_, host_);
    eval::Options options;
    options.steps = false;
    std::size_t count = 0;
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      const auto& values = values_[i];
      const std::uint32_t end = diagrams_->at(fates, [&](analyze::FieldId field) {
        INFO(space_->facts(field).name);
        REQUIRE(field < values.size());  // nothing is free in these rules
        return values[field];
      });
      const bool accepts = machine.outcome_of(end).fate == analyze::Fate::Accept;
      const bool accepted = evaluator.arrive(packets_[i], options).fate() == eval::Fate::Accept;
      count += accepts == accepted ? 0 : 1;
      ++asked_;
    }
    return count;
  }

  std::size_t asked() const { return asked_; }

 private:
  void begin_anew_now_and_then() {
    constexpr std::uint64_t kMostEdges = 2'000'000;
    if (diagrams_ && diagrams_->edges() < kMostEdges) return;
    diagrams_ = std::make_unique<analyze::Diagrams>();
    space_ = std::make_unique<analyze::PacketSpace>(*diagrams_, true);
    values_.clear();
    for (const eval::Packet& packet : packets_) {
      values_.push_back(
          analyze::values_of(*diagrams_, *space_, analyze::Direction::Arrive, packet));
      REQUIRE(!values_.back().empty());
    }
  }

  Host host_;
  Ruleset ruleset_;
  std::vector<eval::Packet> packets_;
  std::vector<std::vector<std::uint64_t>> values_;
  std::unique_ptr<analyze::Diagrams> diagrams_;
  std::unique_ptr<analyze::PacketSpace> space_;
  std::size_t asked_ = 0;
};

TEST_CASE("every chain of up to three rules") {
  std::vector<Rule> stock;
  for (const ExprList& match : matches()) {
    for (const ExprList& ending : endings()) {
      Rule rule;
      rule.exprs = match;
      rule.exprs.insert(rule.exprs.end(), ending.begin(), ending.end());
      stock.push_back(std::move(rule));
    }
  }
  REQUIRE(stock.size() == 32);
  Scope scope;
  std::size_t disagreements = scope.disagreements({});
  for (const Rule& first : stock) {
    disagreements += scope.disagreements({first});
    for (const Rule& second : stock) {
      disagreements += scope.disagreements({first, second});
      for (const Rule& third : stock) {
        disagreements += scope.disagreements({first, second, third});
      }
    }
  }
  CHECK(disagreements == 0);
  CHECK(scope.asked() > 500'000);
}

}  // namespace
}  // namespace rolewall::symbolic
