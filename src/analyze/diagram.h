// Sets of packets, and functions of a packet, as interval decision diagrams: for all packets at
// once, where a list of rules answers for one.
//
// A diagram is a terminal, a number, or a node: a field, and for each interval of its values the
// diagram that goes on there. The intervals of a node are in order, leave nothing out, and two
// neighbours never go on alike; a node has at least two. Fields stand in one order on every way
// down, by their numbers, and no two nodes are equal (they are hash-consed). So a function has one
// diagram: two are equal where their numbers are, and "is there a packet" is `!= kNothing`.
//
// Operations walk two diagrams down together, each pair once (a direct-mapped cache forgets, which
// costs time and no more). Nothing is ever collected: what a question makes is dropped whole, with
// the Diagrams that it was made in, or, of many small questions, at the end of each (Passing). What
// it may cost is bounded: where the edges or steps of its budget are used up, BudgetEnded is
// thrown, within analyze/ alone; nothing is lost by it but the answer.
//
// Values have at most 64 bits; what is wider (an IPv6 address, a device's name) is several fields.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "analyze/column.h"

namespace rolewall::analyze {

using Diagram = std::uint32_t;
using FieldId = std::uint32_t;

inline constexpr Diagram kTerminalBit = 0x80000000;
constexpr Diagram terminal(std::uint32_t value) {
  return kTerminalBit | value;
}
constexpr bool is_terminal(Diagram diagram) {
  return (diagram & kTerminalBit) != 0;
}
constexpr std::uint32_t value_of(Diagram diagram) {  // REQUIRES: a terminal
  return diagram & ~kTerminalBit;
}

// Of sets: diagrams whose terminals are these two.
inline constexpr Diagram kNothing = terminal(0);
inline constexpr Diagram kEverything = terminal(1);

// Inclusive at both ends.
struct Values {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool operator==(const Values&) const = default;
};

struct Budget {
  std::uint64_t edges = 20'000'000;   // 12 bytes each, nodes and tables aside
  std::uint64_t steps = 400'000'000;  // pairs of edges walked: the measure of time
};

struct BudgetEnded {
  std::string what;  // "20000000 edges"
};

// Whether a field is asked about, or what of a set holds for some or for all of its values.
enum class Quantifier : std::uint8_t { Keep, Any, All };

class Diagrams {
 public:
  explicit Diagrams(Budget budget = {});

  // The next in the order, below all that there are; of the budget, too. REQUIRES: 1 to 64 bits.
  FieldId add_field(unsigned bits);
  std::uint64_t largest(FieldId field) const { return largest_[field]; }
  std::size_t field_count() const { return largest_.size(); }

  // The packets whose field has one of these values. REQUIRES: sorted, not overlapping, within the
  // field's values.
  Diagram where(FieldId field, std::span<const Values> values);
  Diagram where(FieldId field, std::uint64_t first, std::uint64_t last);

  Diagram both(Diagram a, Diagram b);
  Diagram either(Diagram a, Diagram b);
  Diagram minus(Diagram a, Diagram b);
  Diagram complement(Diagram a) { return minus(kEverything, a); }
  // Whether a packet is in both sets: both() without the diagram of it, by the first that is found.
  bool meet(Diagram a, Diagram b);
  // Of functions: the packets that do not end in the same terminal. What both share is not gone
  // into.
  Diagram differ(Diagram a, Diagram b);

  // Of sets as of functions: `then` within the set, elsewhere `otherwise`.
  Diagram choose(Diagram set, Diagram then, Diagram otherwise);
  // `in`, but where it ends in this terminal it goes on as `by`: first match wins, and what comes
  // after a rule that does not match.
  Diagram replace(Diagram in, std::uint32_t terminal_value, Diagram by);
  // Each terminal by another; `to` is asked once for each.
  Diagram map(Diagram of, const std::function<Diagram(std::uint32_t)>& to);

  // All of them together, by halves: where there are many, unlike one after the other.
  Diagram union_of(std::vector<Diagram> sets);

  // Without the fields that `of` does not keep. All of one call are Any, or all are All.
  Diagram quantify(Diagram set, const std::function<Quantifier(FieldId)>& of);

  // The same function as `of` is in `other`. REQUIRES: the fields that it asks about are here, too.
  Diagram copy(const Diagrams& other, Diagram of);

  // What a packet ends in. `values`: of each field, by its number.
  std::uint32_t at(Diagram diagram, const std::function<std::uint64_t(FieldId)>& values) const;
  std::uint32_t at(Diagram diagram, std::span<const std::uint64_t> values) const;

  bool ends_in(Diagram diagram, std::uint32_t terminal_value) const;
  // The terminals that are there, each once, by their first way.
  std::vector<std::uint32_t> terminals(Diagram diagram) const;
  // The fields that it asks about, in order.
  std::vector<FieldId> fields(Diagram diagram) const;
  std::size_t node_count(Diagram diagram) const;
  // The values of a field at which what is below goes on otherwise: the last of each run, in order.
  std::vector<std::uint64_t> breaks(Diagram diagram, FieldId field) const;
  // How it goes on by the values of a field. REQUIRES: it asks about none before.
  struct Run {
    Values values;
    Diagram then = kNothing;
  };
  std::vector<Run> runs(Diagram diagram, FieldId field) const;

  // One way down to `terminal_value`, with the values that are left to each field asked on it.
  // `wanted` gives the values that are tried first, in their order; then it is the first that there
  // are. Absent: there is none.
  struct Step {
    FieldId field = 0;
    Values values;
  };
  using Way = std::vector<Step>;
  std::optional<Way> way_to(
      Diagram diagram, std::uint32_t terminal_value,
      const std::function<std::span<const std::uint64_t>(FieldId)>& wanted) const;
  // A packet that both sets have: the values of the fields that they ask about, others are left as
  // they are. The seed goes on with each. REQUIRES: they meet.
  void draw(Diagram a, Diagram b, std::uint64_t& seed, std::span<std::uint64_t> values);
  // Of the set's packets whose field `given` has the value: between which values each of the other
  // fields is, or less. False: there is no such packet. REQUIRES: the fields are below `given`.
  bool box(Diagram set, FieldId given, std::uint64_t value, std::span<const FieldId> fields,
           std::span<Values> sides) const;

  // What is made while it lives is dropped with it, and counts against the budget no more.
  // REQUIRES: none of it is used afterwards; of several the last one ends first.
  class Passing {
   public:
    explicit Passing(Diagrams& diagrams);
    ~Passing();
    Passing(const Passing&) = delete;
    Passing& operator=(const Passing&) = delete;

   private:
    Diagrams& diagrams_;
    std::size_t nodes_;
    std::size_t edges_;
    std::size_t kept_before_;
  };

  // What other work costs, in steps.
  void spend(std::uint64_t steps) {
    steps_ += steps;
    if (steps_ > budget_.steps) end_steps();
  }
  // Operations call themselves once a field: a stack has room for these.
  static constexpr std::size_t kMostFields = 8'000;

  std::uint64_t edges() const { return lasts_.size(); }
  std::uint64_t steps() const { return steps_; }

 private:
  struct Node {
    FieldId field = 0;
    std::uint32_t first_edge = 0;
    std::uint32_t edge_count = 0;
    std::uint32_t hash = 0;
  };
  struct Edge {
    std::uint64_t last = 0;
    Diagram child = 0;
  };
  enum class Kind : std::uint8_t { Both, Either, Minus, Replace, Differ, Meet };
  // `terminal_value`: of Replace alone.
  static std::uint64_t key_of(Kind kind, std::uint32_t terminal_value) {
    return static_cast<std::uint64_t>(kind) << 32 | terminal_value;
  }
  struct Remembered {
    std::uint64_t operation = ~std::uint64_t{0};
    Diagram a = 0;
    Diagram b = 0;
    Diagram result = 0;
    std::uint32_t era = 0;  // in which what it names is there
  };

  template <Kind kind>
  static std::optional<Diagram> shortcut(std::uint32_t terminal_value, Diagram a, Diagram b);
  template <Kind kind>
  Diagram apply(std::uint32_t terminal_value, Diagram a, Diagram b);
  template <Kind kind>  // REQUIRES: no shortcut()
  Diagram apply_below(std::uint32_t terminal_value, Diagram a, Diagram b);
  template <Kind kind>
  Diagram walk(std::uint32_t terminal_value, Diagram a, Diagram b);
  bool meet_below(Diagram a, Diagram b);
  Diagram choose_below(Diagram set, Diagram then, Diagram otherwise);
  FieldId top(Diagram diagram) const {
    return is_terminal(diagram) ? kNoField : nodes_[diagram].field;
  }
  // The edge of `diagram` for values from `from` on, as seen at `field`: a diagram that does not
  // ask about the field has one for all.
  Edge edge_at(Diagram diagram, FieldId field, std::uint32_t index) const {
    if (top(diagram) != field) return {largest_[field], diagram};
    const std::uint32_t edge = nodes_[diagram].first_edge + index;
    return {lasts_[edge], children_[edge]};
  }
  // The first edge from `index` on that goes beyond the value. REQUIRES: there is one.
  std::uint32_t edge_after(Diagram diagram, FieldId field, std::uint32_t index,
                           std::uint64_t value) const;
  template <Kind kind, bool is_first>
  static bool says_all(std::uint32_t terminal_value, Diagram child);
  [[noreturn]] void end_steps() const;
  void push(std::uint64_t last, Diagram child, std::size_t base) {
    if (scratch_.size() > base && scratch_.back().child == child) {
      scratch_.back().last = last;
    } else {
      scratch_.push_back({last, child});
    }
  }
  Diagram make(FieldId field, std::size_t base);  // of the edges above `base`, which it takes away
  void grow_table();
  Remembered& slot(std::vector<Remembered>& cache, std::uint64_t key, Diagram a, Diagram b);
  // Null: it is not known, or not any more.
  const Remembered* remembered(std::vector<Remembered>& cache, std::uint64_t key, Diagram a,
                               Diagram b);
  void remember(std::vector<Remembered>& cache, std::uint64_t key, Diagram a, Diagram b,
                Diagram result);
  void drop_to(std::size_t nodes, std::size_t edges);
  Diagram relabel_below(Diagram of, std::unordered_map<Diagram, Diagram>& done);
  Diagram quantify_below(Diagram set, const std::function<Quantifier(FieldId)>& of,
                         std::unordered_map<Diagram, Diagram>& done);
  Diagram copy_below(const Diagrams& other, Diagram of, std::unordered_map<Diagram, Diagram>& done);
  // Each diagram below one, once.
  template <class Visit>
  void visit_below(Diagram root, const Visit& visit) const;
  void begin_visit() const;
  bool is_first_visit(Diagram diagram, std::unordered_set<Diagram>& ends) const;
  bool leads_to(Diagram diagram, std::uint32_t terminal_value,
                std::unordered_map<Diagram, bool>& known) const;

  static constexpr FieldId kNoField = 0xffffffff;

  Budget budget_;
  std::uint64_t steps_ = 0;
  std::vector<std::uint64_t> largest_;  // of each field
  Column<Node> nodes_;
  Column<std::uint64_t> lasts_;  // the edges' arena, in two columns
  Column<Diagram> children_;
  std::vector<std::uint32_t> table_;  // of nodes, by hash: 1 + number, 0 free
  std::vector<Edge> scratch_;         // edges of the nodes that are being made, as a stack
  std::vector<Remembered> cache_;
  std::vector<Remembered> choices_;  // of choose(): the operation is the set
  // Nodes from `kept_` on are of this era alone: their numbers are given again. The rest is of all,
  // of the era 0.
  std::size_t kept_ = ~std::size_t{0};
  std::uint32_t era_ = 0;
  // Of a walk that comes to each node once: the number of the last one that came there.
  mutable std::vector<std::uint32_t> visits_;
  mutable std::uint32_t visit_ = 0;
};

}  // namespace rolewall::analyze
