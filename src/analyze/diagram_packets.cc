// Single packets of sets, and boxes around sets.
#include <algorithm>

#include "analyze/diagram.h"

namespace rolewall::analyze {
namespace {

// splitmix64: no more than that two draws are seldom alike is asked of it.
std::uint64_t random_number(std::uint64_t& seed) {
  std::uint64_t x = seed += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

// Its ends as often as what is between: rules begin and end there.
std::uint64_t random_value(const Values& values, std::uint64_t& seed) {
  const std::uint64_t draw = random_number(seed);
  if (draw % 3 == 0) return values.first;
  if (draw % 3 == 1) return values.last;
  const std::uint64_t between = values.last - values.first;
  return values.first + (between == ~std::uint64_t{0} ? draw : draw / 3 % (between + 1));
}

}  // namespace

std::uint32_t Diagrams::at(Diagram diagram, std::span<const std::uint64_t> values) const {
  while (!is_terminal(diagram)) {
    const Node& node = nodes_[diagram];
    const auto* const begin = lasts_.begin() + node.first_edge;
    const auto* const edge = std::lower_bound(begin, begin + node.edge_count, values[node.field]);
    diagram = children_[static_cast<std::size_t>(edge - lasts_.begin())];
  }
  return value_of(diagram);
}

void Diagrams::draw(Diagram a, Diagram b, std::uint64_t& seed, std::span<std::uint64_t> values) {
  while (!is_terminal(a) || !is_terminal(b)) {
    const FieldId field = std::min(top(a), top(b));
    std::uint32_t i = 0;
    std::uint32_t j = 0;
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    Run taken;
    Diagram taken_b = kNothing;
    while (true) {
      const Edge from_a = edge_at(a, field, i);
      const Edge from_b = edge_at(b, field, j);
      std::uint64_t last = std::min(from_a.last, from_b.last);
      if (from_a.child == kNothing) last = from_a.last;
      if (from_b.child == kNothing) last = std::max(last, from_b.last);
      spend(1);
      // Each run with packets is as likely as any other.
      if (meet(from_a.child, from_b.child) && random_number(seed) % ++count == 0) {
        taken = {{first, last}, from_a.child};
        taken_b = from_b.child;
      }
      if (last == largest_[field]) break;
      first = last + 1;
      if (from_a.last <= last) i = edge_after(a, field, i, last);
      if (from_b.last <= last) j = edge_after(b, field, j, last);
    }
    values[field] = random_value(taken.values, seed);
    a = taken.then;
    b = taken_b;
  }
}

bool Diagrams::box(Diagram set, FieldId given, std::uint64_t value, std::span<const FieldId> fields,
                   std::span<Values> sides) const {
  for (Values& side : sides) side = {~std::uint64_t{0}, 0};
  const auto widen = [&](std::size_t i, std::uint64_t first, std::uint64_t last) {
    sides[i] = {std::min(sides[i].first, first), std::max(sides[i].last, last)};
  };
  // What a way down does not ask about may have any value.
  const auto pass_over = [&](FieldId begin, Diagram to) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i] >= begin && fields[i] < top(to)) widen(i, 0, largest_[fields[i]]);
    }
  };
  bool has_some = set == kEverything;
  if (set == kNothing) return false;
  pass_over(0, set);
  begin_visit();
  std::vector<Diagram> open;
  if (!is_terminal(set)) open.push_back(set);
  while (!open.empty()) {
    const Node& node = nodes_[open.back()];
    open.pop_back();
    const auto side = std::ranges::find(fields, node.field);
    std::uint64_t first = 0;
    for (std::uint32_t i = node.first_edge; i < node.first_edge + node.edge_count; ++i) {
      const Values run{first, lasts_[i]};
      first = lasts_[i] + 1;
      const Diagram child = children_[i];
      if (child == kNothing) continue;
      if (node.field == given && (value < run.first || value > run.last)) continue;
      if (side != fields.end()) {
        widen(static_cast<std::size_t>(side - fields.begin()), run.first, run.last);
      }
      pass_over(node.field + 1, child);
      has_some = has_some || child == kEverything;
      if (is_terminal(child) || visits_[child] == visit_) continue;
      visits_[child] = visit_;
      open.push_back(child);
    }
  }
  return has_some;
}

}  // namespace rolewall::analyze
