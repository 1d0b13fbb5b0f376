// A ruleset made ready to run: names resolved to numbers, sets indexed, so that the machine need
// not. An expression that is not modelled, or names what could not be read, has a problem in words;
// a packet that reaches it is undecided. That registers, names and values are sound is verify()'s
// to say, of every ruleset that comes in; nothing here asks again.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "eval/partial_sets.h"
#include "eval/sets.h"
#include "eval/state.h"
#include "ruleset/effects.h"
#include "ruleset/ruleset.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::eval {

using ruleset::ConntrackUse;

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
  // What a match or target of iptables means, and the cell that it remembers in.
  struct XtMatch {
    ruleset::XtMatchMeaning meaning;
    CellIndex cell = 0;
    // Another rule names the same list of recent or hashlimit, and would make it otherwise: which
    // of them has made it is not known.
    bool is_disputed = false;
  };
  struct Chain {
    const ruleset::Chain* chain = nullptr;
    std::vector<Rule> rules;
  };
  struct Table {
    explicit Table(const ruleset::Table& of) : table(&of), names(of) {}
    const ruleset::Table* table;
    ruleset::TableIndex names;
    CellIndex first_object_cell = 0;  // one for each object
    std::vector<Set> sets;
    std::vector<Chain> chains;
  };

  // REQUIRES: verify() found no flaw.
  Program(const ruleset::Ruleset& ruleset, State& state, PartialSets* partial = nullptr);

  const std::vector<Table>& tables() const { return tables_; }
  // What the expression's name stands for: a set, a chain or a cell; or a problem.
  std::uint32_t operand(const Rule& rule, std::size_t expression) const {
    return operands_[rule.first_operand + expression];
  }
  const std::string& problem(std::uint32_t operand) const {
    return problems_[operand - kFirstProblem];
  }
  const XtMatch& xt_match(std::uint32_t operand) const { return xt_matches_[operand]; }
  const ruleset::XtTargetMeaning& xt_target(std::uint32_t operand) const {
    return xt_targets_[operand];
  }
  // Whether a rule adds to a set of ip_set, or takes away.
  bool changes_ipsets() const { return changes_ipsets_; }
  // Whether a rule asks what an element of such a set has counted.
  bool asks_ipset_counters() const { return asks_ipset_counters_; }
  // What the ruleset's own expressions switch on.
  const ruleset::TrackingUse& tracking() const { return tracking_; }

 private:
  class Preparer;

  std::vector<Table> tables_;
  std::vector<std::uint32_t> operands_;
  std::vector<std::string> problems_;
  std::vector<XtMatch> xt_matches_;
  std::vector<ruleset::XtTargetMeaning> xt_targets_;
  // By "hashlimit/NAME" and family: the first of that name.
  std::map<std::pair<std::string, bool>, std::uint32_t> first_of_list_;
  bool changes_ipsets_ = false;
  bool asks_ipset_counters_ = false;
  ruleset::TrackingUse tracking_;
};

// What an element that has no expressions of its own runs: its own, else the set's.
const std::vector<ruleset::StatefulExpr>& element_exprs(const ruleset::Set& set,
                                                        std::uint32_t element);

}  // namespace rolewall::eval
