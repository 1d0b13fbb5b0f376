// The core: two diagrams walked down together, and equal nodes made once.
//
// Why it is right. apply() gives at each packet the operation on what both give there: where both
// ask about the same field, the edges are met in the order of their values, so that each pair of
// children stands for exactly the values that lie in both intervals; where one asks about an
// earlier field, the other is the same for each of its values. make() drops what does not change
// the function: neighbours that go on alike are one edge, a node of one edge is its child. By
// induction from the terminals up a diagram is then the only one of its function.
//
// Recursion is as deep as there are fields, which are at most kMostFields.
#include "analyze/diagram.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace rolewall::analyze {
namespace {

constexpr std::size_t kFirstTable = std::size_t{1} << 10;
constexpr std::size_t kLargestCache = std::size_t{1} << 19;

std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 31;
  x *= 0x9e3779b97f4a7c15;
  x ^= x >> 29;
  return x;
}

}  // namespace

Diagrams::Diagrams(Budget budget) : budget_(budget) {
  table_.assign(kFirstTable, 0);
  cache_.assign(kFirstTable, {});
  choices_.assign(kFirstTable, {});
}

FieldId Diagrams::add_field(unsigned bits) {
  CHECK(bits >= 1 && bits <= 64, "a field has 1 to 64 bits");
  if (largest_.size() == kMostFields) throw BudgetEnded{fmt::format("{} fields", kMostFields)};
  largest_.push_back(bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1);
  return static_cast<FieldId>(largest_.size() - 1);
}

void Diagrams::end_steps() const {
  throw BudgetEnded{fmt::format("{} steps", budget_.steps)};
}

// --- nodes -------------------------------------------------------------------------------------

Diagram Diagrams::make(FieldId field, std::size_t base) {
  const std::size_t count = scratch_.size() - base;
  if (count == 1) {
    const Diagram child = scratch_.back().child;
    scratch_.pop_back();
    return child;
  }
  std::uint64_t hash = field;
  for (std::size_t i = base; i < scratch_.size(); ++i) {
    hash = mixed(hash ^ scratch_[i].last ^ std::uint64_t{scratch_[i].child} << 32);
  }
  const auto short_hash = static_cast<std::uint32_t>(mixed(hash) >> 32);
  const std::size_t mask = table_.size() - 1;
  std::size_t place = short_hash & mask;
  for (; table_[place] != 0; place = (place + 1) & mask) {
    const Node& node = nodes_[table_[place] - 1];
    if (node.hash != short_hash || node.field != field || node.edge_count != count) continue;
    bool same = true;
    for (std::size_t i = 0; i < count && same; ++i) {
      same = lasts_[node.first_edge + i] == scratch_[base + i].last &&
             children_[node.first_edge + i] == scratch_[base + i].child;
    }
    if (!same) continue;
    scratch_.resize(base);
    return table_[place] - 1;
  }
  if (lasts_.size() + count > budget_.edges) {
    throw BudgetEnded{fmt::format("{} edges", budget_.edges)};
  }
  nodes_.push_back({field, static_cast<std::uint32_t>(lasts_.size()),
                    static_cast<std::uint32_t>(count), short_hash});
  for (std::size_t i = base; i < scratch_.size(); ++i) {
    lasts_.push_back(scratch_[i].last);
    children_.push_back(scratch_[i].child);
  }
  scratch_.resize(base);
  const auto made = static_cast<std::uint32_t>(nodes_.size());
  table_[place] = made;
  if (nodes_.size() * 2 > table_.size()) grow_table();
  return made - 1;
}

void Diagrams::grow_table() {
  table_.assign(table_.size() * 2, 0);
  const std::size_t mask = table_.size() - 1;
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
    std::size_t place = nodes_[i].hash & mask;
    while (table_[place] != 0) place = (place + 1) & mask;
    table_[place] = i + 1;
  }
  // What was remembered is lost, which costs a walk.
  if (cache_.size() < std::min(table_.size(), kLargestCache)) {
    cache_.assign(table_.size(), {});
    choices_.assign(table_.size(), {});
  }
}

// As a stack: the last that came into the table is the first to leave it, so that no other is found
// by way of a place that is free now.
void Diagrams::drop_to(std::size_t nodes, std::size_t edges) {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t i = nodes_.size(); i-- > nodes;) {
    std::size_t place = nodes_[i].hash & mask;
    while (table_[place] != i + 1) place = (place + 1) & mask;
    table_[place] = 0;
  }
  nodes_.shrink_to(nodes);
  lasts_.shrink_to(edges);
  children_.shrink_to(edges);
}

Diagrams::Passing::Passing(Diagrams& diagrams)
    : diagrams_(diagrams),
      nodes_(diagrams.nodes_.size()),
      edges_(diagrams.lasts_.size()),
      kept_before_(diagrams.kept_) {
  diagrams_.kept_ = std::min(diagrams_.kept_, nodes_);
  ++diagrams_.era_;
}

Diagrams::Passing::~Passing() {
  diagrams_.scratch_.clear();  // where a budget has ended
  diagrams_.drop_to(nodes_, edges_);
  ++diagrams_.era_;
  diagrams_.kept_ = kept_before_;
}

Diagram Diagrams::where(FieldId field, std::span<const Values> values) {
  const std::size_t base = scratch_.size();
  std::uint64_t next = 0;
  for (const Values& run : values) {
    CHECK(run.first >= next && run.last >= run.first && run.last <= largest_[field],
          "values are in order and the field's");
    if (run.first > next) push(run.first - 1, kNothing, base);
    push(run.last, kEverything, base);
    if (run.last == largest_[field]) return make(field, base);
    next = run.last + 1;
  }
  push(largest_[field], kNothing, base);
  return make(field, base);
}

Diagram Diagrams::where(FieldId field, std::uint64_t first, std::uint64_t last) {
  const std::array<Values, 1> run{{{first, last}}};
  return where(field, run);
}

// --- two together ------------------------------------------------------------------------------

template <Diagrams::Kind kind>
std::optional<Diagram> Diagrams::shortcut(std::uint32_t terminal_value, Diagram a, Diagram b) {
  if constexpr (kind == Kind::Both) {
    if (a == kNothing || b == kNothing) return kNothing;
    if (a == kEverything || a == b) return b;
    if (b == kEverything) return a;
  } else if constexpr (kind == Kind::Either) {
    if (a == kEverything || b == kEverything) return kEverything;
    if (a == kNothing || a == b) return b;
    if (b == kNothing) return a;
  } else if constexpr (kind == Kind::Minus) {
    if (a == kNothing || b == kEverything || a == b) return kNothing;
    if (b == kNothing) return a;
  } else if constexpr (kind == Kind::Replace) {
    if (b == terminal(terminal_value)) return a;
    if (a == terminal(terminal_value)) return b;
    if (is_terminal(a)) return a;
  } else if constexpr (kind == Kind::Differ) {
    if (a == b) return kNothing;
    if (is_terminal(a) && is_terminal(b)) return kEverything;
  } else {
    static_assert(kind == Kind::Meet);
    if (a == kNothing || b == kNothing) return kNothing;
    // A set that is not empty has a packet.
    if (a == kEverything || b == kEverything || a == b) return kEverything;
  }
  return std::nullopt;
}

Diagrams::Remembered& Diagrams::slot(std::vector<Remembered>& cache, std::uint64_t key, Diagram a,
                                     Diagram b) {
  const std::uint64_t hash = mixed(mixed(key ^ (std::uint64_t{a} << 32)) ^ b);
  return cache[(hash >> 20) & (cache.size() - 1)];
}

const Diagrams::Remembered* Diagrams::remembered(std::vector<Remembered>& cache, std::uint64_t key,
                                                 Diagram a, Diagram b) {
  const Remembered& had = slot(cache, key, a, b);
  const bool is_it = had.operation == key && had.a == a && had.b == b;
  return is_it && (had.era == 0 || had.era == era_) ? &had : nullptr;
}

void Diagrams::remember(std::vector<Remembered>& cache, std::uint64_t key, Diagram a, Diagram b,
                        Diagram result) {
  const auto passes = [&](Diagram diagram) { return !is_terminal(diagram) && diagram >= kept_; };
  const bool of_all = !passes(a) && !passes(b) && !passes(result) &&
                      !(&cache == &choices_ && passes(static_cast<Diagram>(key)));
  slot(cache, key, a, b) = {key, a, b, result, of_all ? 0 : era_};
}

// A list of one value meets a list of ten thousand: what is passed over is not walked along, but
// jumped over in doubling steps.
std::uint32_t Diagrams::edge_after(Diagram diagram, FieldId field, std::uint32_t index,
                                   std::uint64_t value) const {
  if (top(diagram) != field) return 0;
  const std::uint64_t* const lasts = lasts_.begin() + nodes_[diagram].first_edge;
  std::uint32_t step = 1;
  while (lasts[index] <= value) {
    // The last edge ends at the field's largest value, which is no further than this one looks.
    const std::uint32_t next = std::min(index + step, nodes_[diagram].edge_count - 1);
    if (lasts[next] > value) {
      return static_cast<std::uint32_t>(std::upper_bound(lasts + index, lasts + next, value) -
                                        lasts);
    }
    index = next;
    step *= 2;
  }
  return index;
}

// Whether this operand's child alone says what comes, whatever the other one's.
template <Diagrams::Kind kind, bool is_first>
bool Diagrams::says_all(std::uint32_t terminal_value, Diagram child) {
  if constexpr (kind == Kind::Both) return child == kNothing;
  if constexpr (kind == Kind::Either) return child == kEverything;
  if constexpr (kind == Kind::Minus) return child == (is_first ? kNothing : kEverything);
  if constexpr (kind == Kind::Replace) {
    return is_first && is_terminal(child) && child != terminal(terminal_value);
  }
  return false;
}

template <Diagrams::Kind kind>
Diagram Diagrams::apply(std::uint32_t terminal_value, Diagram a, Diagram b) {
  const auto known = shortcut<kind>(terminal_value, a, b);
  return known ? *known : apply_below<kind>(terminal_value, a, b);
}

template <Diagrams::Kind kind>
Diagram Diagrams::apply_below(std::uint32_t terminal_value, Diagram a, Diagram b) {
  constexpr bool kCommutes = kind == Kind::Both || kind == Kind::Either || kind == Kind::Differ;
  if (kCommutes && a > b) std::swap(a, b);
  const std::uint64_t key = key_of(kind, terminal_value);
  if (const Remembered* had = remembered(cache_, key, a, b)) return had->result;
  const Diagram result = walk<kind>(terminal_value, a, b);
  remember(cache_, key, a, b, result);
  return result;
}

template <Diagrams::Kind kind>
Diagram Diagrams::walk(std::uint32_t terminal_value, Diagram a, Diagram b) {
  const FieldId field = std::min(top(a), top(b));
  const std::size_t base = scratch_.size();
  std::uint32_t i = 0;
  std::uint32_t j = 0;
  while (true) {
    const Edge from_a = edge_at(a, field, i);
    const Edge from_b = edge_at(b, field, j);
    std::uint64_t last = std::min(from_a.last, from_b.last);
    if (says_all<kind, true>(terminal_value, from_a.child)) {
      last = from_a.last;
    } else if (says_all<kind, false>(terminal_value, from_b.child)) {
      last = from_b.last;
    }
    spend(1);
    push(last, apply<kind>(terminal_value, from_a.child, from_b.child), base);
    if (last == largest_[field]) break;
    if (from_a.last <= last) i = edge_after(a, field, i, last);
    if (from_b.last <= last) j = edge_after(b, field, j, last);
  }
  return make(field, base);
}

Diagram Diagrams::both(Diagram a, Diagram b) {
  return apply<Kind::Both>(0, a, b);
}
Diagram Diagrams::either(Diagram a, Diagram b) {
  return apply<Kind::Either>(0, a, b);
}
Diagram Diagrams::minus(Diagram a, Diagram b) {
  return apply<Kind::Minus>(0, a, b);
}
Diagram Diagrams::differ(Diagram a, Diagram b) {
  return apply<Kind::Differ>(0, a, b);
}
Diagram Diagrams::replace(Diagram in, std::uint32_t terminal_value, Diagram by) {
  return apply<Kind::Replace>(terminal_value, in, by);
}

bool Diagrams::meet(Diagram a, Diagram b) {
  if (const auto known = shortcut<Kind::Meet>(0, a, b)) return *known == kEverything;
  if (a > b) std::swap(a, b);
  const std::uint64_t key = key_of(Kind::Meet, 0);
  if (const Remembered* had = remembered(cache_, key, a, b)) return had->result == kEverything;
  const bool found = meet_below(a, b);
  remember(cache_, key, a, b, found ? kEverything : kNothing);
  return found;
}

bool Diagrams::meet_below(Diagram a, Diagram b) {
  const FieldId field = std::min(top(a), top(b));
  std::uint32_t i = 0;
  std::uint32_t j = 0;
  while (true) {
    const Edge from_a = edge_at(a, field, i);
    const Edge from_b = edge_at(b, field, j);
    const std::uint64_t last = std::min(from_a.last, from_b.last);
    spend(1);
    if (meet(from_a.child, from_b.child)) return true;
    if (last == largest_[field]) return false;
    if (from_a.last == last) ++i;
    if (from_b.last == last) ++j;
  }
}

Diagram Diagrams::choose(Diagram set, Diagram then, Diagram otherwise) {
  if (set == kEverything || then == otherwise) return then;
  if (set == kNothing) return otherwise;
  if (then == kEverything && otherwise == kNothing) return set;
  // The cache has room for two operands beside the set.
  if (const Remembered* had = remembered(choices_, set, then, otherwise)) return had->result;
  const Diagram result = choose_below(set, then, otherwise);
  remember(choices_, set, then, otherwise, result);
  return result;
}

Diagram Diagrams::choose_below(Diagram set, Diagram then, Diagram otherwise) {
  const FieldId field = std::min({top(set), top(then), top(otherwise)});
  const std::size_t base = scratch_.size();
  std::array<std::uint32_t, 3> index{};
  while (true) {
    const std::array<Edge, 3> edges{edge_at(set, field, index[0]), edge_at(then, field, index[1]),
                                    edge_at(otherwise, field, index[2])};
    // Where the set says it all, the other operand's edges do not matter.
    const std::uint64_t then_last = edges[0].child == kNothing ? edges[0].last : edges[1].last;
    const std::uint64_t other_last = edges[0].child == kEverything ? edges[0].last : edges[2].last;
    const std::uint64_t last = std::min({edges[0].last, then_last, other_last});
    spend(1);
    push(last, choose(edges[0].child, edges[1].child, edges[2].child), base);
    if (last == largest_[field]) break;
    if (edges[0].last <= last) index[0] = edge_after(set, field, index[0], last);
    if (edges[1].last <= last) index[1] = edge_after(then, field, index[1], last);
    if (edges[2].last <= last) index[2] = edge_after(otherwise, field, index[2], last);
  }
  return make(field, base);
}

Diagram Diagrams::map(Diagram of, const std::function<Diagram(std::uint32_t)>& to) {
  // By terminals that nothing else uses, so that what one becomes is not taken for another.
  constexpr std::uint32_t kAside = 0x40000000;
  const std::vector<std::uint32_t> all = terminals(of);
  std::vector<std::pair<std::uint32_t, Diagram>> changed;
  for (const std::uint32_t value : all) {
    if (const Diagram by = to(value); by != terminal(value)) changed.emplace_back(value, by);
  }
  if (changed.size() == 1) return replace(of, changed[0].first, changed[0].second);
  // One walk, where a walk for each would be too many: a diagram may have a terminal a rule.
  if (std::ranges::all_of(changed, [](const auto& one) { return is_terminal(one.second); })) {
    std::unordered_map<Diagram, Diagram> done;
    for (const auto& [value, by] : changed) done.emplace(terminal(value), by);
    return relabel_below(of, done);
  }
  for (const auto& [value, by] : changed) of = replace(of, value, terminal(kAside + value));
  for (const auto& [value, by] : changed) of = replace(of, kAside + value, by);
  return of;
}

// `done` has the terminals that change.
Diagram Diagrams::relabel_below(Diagram of, std::unordered_map<Diagram, Diagram>& done) {
  if (const auto known = done.find(of); known != done.end()) return known->second;
  if (is_terminal(of)) return of;
  const Node node = nodes_[of];
  const std::size_t base = scratch_.size();
  for (std::uint32_t i = 0; i < node.edge_count; ++i) {
    const std::uint64_t last = lasts_[node.first_edge + i];
    spend(1);
    push(last, relabel_below(children_[node.first_edge + i], done), base);
  }
  const Diagram result = make(node.field, base);
  done.emplace(of, result);
  return result;
}

Diagram Diagrams::union_of(std::vector<Diagram> sets) {
  if (sets.empty()) return kNothing;
  while (sets.size() > 1) {
    const std::size_t half = (sets.size() + 1) / 2;
    for (std::size_t i = 0; i < half; ++i) {
      sets[i] = 2 * i + 1 < sets.size() ? either(sets[2 * i], sets[2 * i + 1]) : sets[2 * i];
    }
    sets.resize(half);
  }
  return sets.front();
}

Diagram Diagrams::quantify(Diagram set, const std::function<Quantifier(FieldId)>& of) {
  std::unordered_map<Diagram, Diagram> done;
  return quantify_below(set, of, done);
}

Diagram Diagrams::quantify_below(Diagram set, const std::function<Quantifier(FieldId)>& of,
                                 std::unordered_map<Diagram, Diagram>& done) {
  if (is_terminal(set)) return set;
  if (const auto known = done.find(set); known != done.end()) return known->second;
  const Node node = nodes_[set];
  const Quantifier quantifier = of(node.field);
  const std::size_t base = scratch_.size();
  Diagram result = quantifier == Quantifier::All ? kEverything : kNothing;
  for (std::uint32_t i = 0; i < node.edge_count; ++i) {
    const std::uint64_t last = lasts_[node.first_edge + i];
    const Diagram child = quantify_below(children_[node.first_edge + i], of, done);
    spend(1);
    switch (quantifier) {
      case Quantifier::Keep:
        push(last, child, base);
        break;
      case Quantifier::Any:
        result = either(result, child);
        break;
      case Quantifier::All:
        result = both(result, child);
        break;
    }
  }
  if (quantifier == Quantifier::Keep) result = make(node.field, base);
  done.emplace(set, result);
  return result;
}

Diagram Diagrams::copy(const Diagrams& other, Diagram of) {
  std::unordered_map<Diagram, Diagram> done;
  return copy_below(other, of, done);
}

Diagram Diagrams::copy_below(const Diagrams& other, Diagram of,
                             std::unordered_map<Diagram, Diagram>& done) {
  if (is_terminal(of)) return of;
  if (const auto known = done.find(of); known != done.end()) return known->second;
  const Node& node = other.nodes_[of];
  const std::size_t base = scratch_.size();
  for (std::uint32_t i = node.first_edge; i < node.first_edge + node.edge_count; ++i) {
    const Diagram child = copy_below(other, other.children_[i], done);
    spend(1);
    push(other.lasts_[i], child, base);
  }
  const Diagram result = make(node.field, base);
  done.emplace(of, result);
  return result;
}

// --- looking into one --------------------------------------------------------------------------

std::uint32_t Diagrams::at(Diagram diagram,
                           const std::function<std::uint64_t(FieldId)>& values) const {
  while (!is_terminal(diagram)) {
    const Node& node = nodes_[diagram];
    const auto* const begin = lasts_.begin() + node.first_edge;
    const auto* const edge = std::lower_bound(begin, begin + node.edge_count, values(node.field));
    diagram = children_[static_cast<std::size_t>(edge - lasts_.begin())];
  }
  return value_of(diagram);
}

bool Diagrams::is_first_visit(Diagram diagram, std::unordered_set<Diagram>& ends) const {
  if (is_terminal(diagram)) return ends.insert(diagram).second;
  if (visits_[diagram] == visit_) return false;
  visits_[diagram] = visit_;
  return true;
}

void Diagrams::begin_visit() const {
  visits_.resize(nodes_.size(), 0);
  ++visit_;
}

template <class Visit>
void Diagrams::visit_below(Diagram root, const Visit& visit) const {
  begin_visit();
  std::unordered_set<Diagram> ends;
  std::vector<Diagram> open{root};
  while (!open.empty()) {
    const Diagram next = open.back();
    open.pop_back();
    visit(next);
    if (is_terminal(next)) continue;
    for (std::uint32_t i = 0; i < nodes_[next].edge_count; ++i) {
      const Diagram child = children_[nodes_[next].first_edge + i];
      if (is_first_visit(child, ends)) open.push_back(child);
    }
  }
}

bool Diagrams::ends_in(Diagram diagram, std::uint32_t terminal_value) const {
  if (is_terminal(diagram)) return value_of(diagram) == terminal_value;
  begin_visit();
  std::vector<Diagram> open{diagram};
  while (!open.empty()) {
    const Node& node = nodes_[open.back()];
    open.pop_back();
    for (std::uint32_t i = node.first_edge; i < node.first_edge + node.edge_count; ++i) {
      const Diagram child = children_[i];
      if (child == terminal(terminal_value)) return true;
      if (is_terminal(child) || visits_[child] == visit_) continue;
      visits_[child] = visit_;
      open.push_back(child);
    }
  }
  return false;
}

std::vector<std::uint32_t> Diagrams::terminals(Diagram diagram) const {
  std::vector<std::uint32_t> all;
  visit_below(diagram, [&](Diagram below) {
    if (is_terminal(below)) all.push_back(value_of(below));
  });
  return all;
}

std::vector<FieldId> Diagrams::fields(Diagram diagram) const {
  std::vector<FieldId> all;
  visit_below(diagram, [&](Diagram below) {
    if (!is_terminal(below)) all.push_back(nodes_[below].field);
  });
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::size_t Diagrams::node_count(Diagram diagram) const {
  std::size_t count = 0;
  visit_below(diagram, [&](Diagram below) { count += is_terminal(below) ? 0 : 1; });
  return count;
}

std::vector<std::uint64_t> Diagrams::breaks(Diagram diagram, FieldId field) const {
  std::vector<std::uint64_t> all;
  visit_below(diagram, [&](Diagram below) {
    if (is_terminal(below) || nodes_[below].field != field) return;
    const Node& node = nodes_[below];
    all.insert(all.end(), lasts_.begin() + node.first_edge,
               lasts_.begin() + node.first_edge + node.edge_count);
  });
  if (all.empty()) all.push_back(largest_[field]);
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

std::vector<Diagrams::Run> Diagrams::runs(Diagram diagram, FieldId field) const {
  CHECK(top(diagram) >= field, "nothing is asked before");
  std::vector<Run> all;
  std::uint64_t first = 0;
  for (std::uint32_t i = 0; all.empty() || all.back().values.last != largest_[field]; ++i) {
    const Edge edge = edge_at(diagram, field, i);
    all.push_back({{first, edge.last}, edge.child});
    first = edge.last + 1;
  }
  return all;
}

bool Diagrams::leads_to(Diagram diagram, std::uint32_t terminal_value,
                        std::unordered_map<Diagram, bool>& known) const {
  if (is_terminal(diagram)) return value_of(diagram) == terminal_value;
  if (const auto had = known.find(diagram); had != known.end()) return had->second;
  const Node& node = nodes_[diagram];
  bool leads = false;
  for (std::uint32_t i = 0; i < node.edge_count && !leads; ++i) {
    leads = leads_to(children_[node.first_edge + i], terminal_value, known);
  }
  known.emplace(diagram, leads);
  return leads;
}

std::optional<std::vector<Diagrams::Step>> Diagrams::way_to(
    Diagram diagram, std::uint32_t terminal_value,
    const std::function<std::span<const std::uint64_t>(FieldId)>& wanted) const {
  std::unordered_map<Diagram, bool> known;
  if (!leads_to(diagram, terminal_value, known)) return std::nullopt;
  std::vector<Step> way;
  while (!is_terminal(diagram)) {
    const Node& node = nodes_[diagram];
    const auto* const begin = lasts_.begin() + node.first_edge;
    const auto* const end = begin + node.edge_count;
    const auto child = [&](const std::uint64_t* edge) {
      return children_[static_cast<std::size_t>(edge - lasts_.begin())];
    };
    const auto* taken = end;
    std::optional<std::uint64_t> value;
    for (const std::uint64_t want : wanted(node.field)) {
      if (want > largest_[node.field]) continue;
      const auto* const edge = std::lower_bound(begin, end, want);
      if (!leads_to(child(edge), terminal_value, known)) continue;
      taken = edge;
      value = want;
      break;
    }
    for (const auto* edge = begin; edge != end && taken == end; ++edge) {
      if (leads_to(child(edge), terminal_value, known)) taken = edge;
    }
    const std::uint64_t first = taken == begin ? 0 : *(taken - 1) + 1;
    way.push_back({node.field, value ? Values{*value, *value} : Values{first, *taken}});
    diagram = child(taken);
  }
  return way;
}

}  // namespace rolewall::analyze
