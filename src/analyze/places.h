// Which rules of two rulesets are the same: so that what is free at a place (a limit's tokens, a
// draw) is one value on both sides, wherever an edit has moved the rule to.
//
// Tables, chains and named sets are the same by their names; a rule by what it does, whatever its
// comment and handle, with the contents of anonymous sets for their names, which the kernel gives.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "analyze/remembered.h"
#include "ruleset/actions.h"
#include "ruleset/ruleset.h"
#include "ruleset/table_index.h"

namespace rolewall::analyze {

class Places {
 public:
  // The numbers of one ruleset's rules and of its chains' policies.
  class Numbers {
   public:
    std::uint32_t of(std::uint32_t table, std::uint32_t chain, std::uint32_t rule) const {
      return chains_[table][chain].rules[rule];
    }
    std::uint32_t policy_of(std::uint32_t table, std::uint32_t chain) const {
      return chains_[table][chain].policy;
    }

   private:
    friend class Places;
    struct Chain {
      std::vector<std::uint32_t> rules;
      std::uint32_t policy = 0;
    };
    std::vector<std::vector<Chain>> chains_;  // by table
  };

  // Of their tables.
  Places(std::span<const ruleset::TableIndex> before, std::span<const ruleset::TableIndex> after);

  const Numbers& before() const { return before_; }
  const Numbers& after() const { return after_; }
  // Whether one side alone has it, or has it elsewhere among the others of its chain.
  bool is_edited(std::uint32_t place) const { return edited_[place]; }
  // How many rules are.
  std::size_t edits() const { return edits_; }

  // A way of calls, one step longer.
  std::uint32_t way(std::uint32_t calls, std::uint32_t place, std::string_view chain);
  // What was logged of a packet, one line longer; or what else has told somebody of it (a copy).
  using Told = std::variant<ruleset::Log, Left>;
  std::uint32_t logged(std::uint32_t before, const Told& told);
  // What packets have left behind.
  Lefts& lefts() { return lefts_; }

 private:
  std::uint32_t add(bool edited);
  void number_chain(const ruleset::TableIndex& table, const ruleset::Chain& chain,
                    const ruleset::TableIndex& other_table, const ruleset::Chain& other,
                    Numbers::Chain& numbers, Numbers::Chain& other_numbers);

  Numbers before_;
  Numbers after_;
  std::vector<bool> edited_{false};  // by number; 0 is nobody's
  std::size_t edits_ = 0;
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::string>, std::uint32_t> ways_;
  std::vector<Told> logs_;
  std::map<std::pair<std::uint32_t, std::size_t>, std::uint32_t> logged_;
  Lefts lefts_;
};

// What two machines share that are compared.
struct Shared {
  Places& places;
  const Remembered* remembered = nullptr;  // null: what packets leave behind is not noted
  bool notes_logs = false;
  bool notes_lines = false;
};

// The rules of two chains that are the same: for each of the first which of the second, or kNone.
// Of those that are moved, as few as there can be are `moved`.
struct AlignedRules {
  static constexpr std::uint32_t kNone = 0xffffffff;
  std::vector<std::uint32_t> to;
  std::vector<bool> moved;
};
AlignedRules align_rules(const ruleset::TableIndex& table, const ruleset::Chain& chain,
                         const ruleset::TableIndex& other_table, const ruleset::Chain& other);

}  // namespace rolewall::analyze
