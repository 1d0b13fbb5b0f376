// A ruleset made ready to run: names resolved to numbers, sets indexed, every expression checked
// once, so that the machine need not. An expression that cannot be run (unsupported, out of bounds,
// naming what is not there) has a problem in words; a packet that reaches it is undecided.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/partial_sets.h"
#include "eval/sets.h"
#include "eval/state.h"
#include "ruleset/ruleset.h"

namespace rolewall::eval {

// Whether reassembly and connection tracking are at work, for one family: nf_ct_netns_get() by the
// ruleset's own expressions. Unknown: an expression that is not modelled might switch them on.
enum class ConntrackUse : std::uint8_t { Off, On, Unknown };

class Program {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;
  // Operands at or above this are problems.
  static constexpr std::uint32_t kFirstProblem = 0x80000000;

  struct Rule {
    const ruleset::Rule* rule = nullptr;
    std::uint32_t first_operand = 0;  // one for each expression
  };
  struct Set {
    explicit Set(const ruleset::Set& of) : set(&of), index(of) {}
    const ruleset::Set* set;
    SetIndex index;
    std::uint32_t number = 0;       // over all tables
    PartialSet* partial = nullptr;  // where not all its elements were read
    // Verdict maps: the chain of each element's verdict. Object maps: each element's object.
    std::vector<std::uint32_t> targets;
    std::uint32_t catch_all_target = kNone;
    // Cells of the elements' expressions, where any of them keeps state: first_cell + element *
    // cells_each.
    CellIndex first_cell = 0;
    std::uint32_t cells_each = 0;
  };
  struct Chain {
    const ruleset::Chain* chain = nullptr;
    std::vector<Rule> rules;
  };
  struct Table {
    const ruleset::Table* table = nullptr;
    CellIndex first_object_cell = 0;  // one for each object
    std::vector<Set> sets;
    std::vector<Chain> chains;
  };

  Program(const ruleset::Ruleset& ruleset, State& state, PartialSets* partial = nullptr);

  const std::vector<Table>& tables() const { return tables_; }
  // What the expression's name stands for: a set, a chain or a cell; or a problem.
  std::uint32_t operand(const Rule& rule, std::size_t expression) const {
    return operands_[rule.first_operand + expression];
  }
  const std::string& problem(std::uint32_t operand) const {
    return problems_[operand - kFirstProblem];
  }
  ConntrackUse conntrack_ipv4() const { return conntrack_ipv4_; }
  ConntrackUse conntrack_ipv6() const { return conntrack_ipv6_; }
  // Reassembly alone is switched on by a tproxy too (nft_tproxy_init()).
  ConntrackUse reassembly_ipv4() const { return tproxy_ipv4_ ? ConntrackUse::On : conntrack_ipv4_; }
  ConntrackUse reassembly_ipv6() const { return tproxy_ipv6_ ? ConntrackUse::On : conntrack_ipv6_; }

 private:
  class Preparer;

  std::vector<Table> tables_;
  std::vector<std::uint32_t> operands_;
  std::vector<std::string> problems_;
  ConntrackUse conntrack_ipv4_ = ConntrackUse::Off;
  ConntrackUse conntrack_ipv6_ = ConntrackUse::Off;
  bool tproxy_ipv4_ = false;
  bool tproxy_ipv6_ = false;
};

// What an element that has no expressions of its own runs: its own, else the set's.
const std::vector<ruleset::StatefulExpr>& element_exprs(const ruleset::Set& set,
                                                        std::uint32_t element);

}  // namespace rolewall::eval
