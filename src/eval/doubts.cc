#include "eval/doubts.h"

namespace rolewall::eval {
namespace {

template <class Things, class Names>
void add_unlike(const Things& one, const Things& other, Names& names) {
  for (const auto& [name, thing] : one) {
    const auto same = other.find(name);
    if (same == other.end() || !(same->second == thing)) names.insert(name);
  }
}

template <class Things, class Names>
void add_names(const Things& things, Names& names) {
  for (const auto& [name, thing] : things) names.insert(name);
}

// A limit's tokens: within what both ways leave, or unknown where one did not look.
void add_cells(const Left& one, const Left& other, std::map<CellIndex, State::Tokens>& cells) {
  for (const auto& [cell, now] : one.cells) {
    const auto same = other.cells.find(cell);
    const bool both = same != other.cells.end();
    if (both && same->second == now) continue;
    State::Tokens tokens = both ? now.cell.left : State::Tokens::any();
    if (both) tokens.include(same->second.cell.left);
    const auto [known, is_new] = cells.emplace(cell, tokens);
    if (!is_new) known->second.include(tokens);
  }
}

}  // namespace

void Doubts::add_differences(const Left& one, const Left& other) {
  add_cells(one, other, cells);
  add_cells(other, one, cells);
  for (const auto& [first, second] : {std::pair(&one, &other), std::pair(&other, &one)}) {
    add_unlike(first->elements, second->elements, elements);
    add_unlike(first->flows, second->flows, flows);
  }
}

void Doubts::merge(const Doubts& others) {
  for (const auto& [cell, tokens] : others.cells) {
    const auto [known, is_new] = cells.emplace(cell, tokens);
    if (!is_new) known->second.include(tokens);
  }
  elements.insert(others.elements.begin(), others.elements.end());
  flows.insert(others.flows.begin(), others.flows.end());
  all_flows |= others.all_flows;
  fragments |= others.fragments;
  all_state |= others.all_state;
}

void Doubts::add_all(const Left& left) {
  for (const auto& [cell, now] : left.cells) cells[cell] = State::Tokens::any();
  add_names(left.elements, elements);
  add_names(left.flows, flows);
}

}  // namespace rolewall::eval
