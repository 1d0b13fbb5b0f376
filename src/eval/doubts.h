// What a packet has left behind, where it might have left something else: a packet of which only
// the kernel knows what became of it (a random number, a limit at its last token) changes limits,
// sets and flows in one way or another. The state goes on by the first way; what differs by the
// others is doubtful, and a later packet that asks for it is not answered for certain.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "eval/flows.h"
#include "eval/state.h"

namespace rolewall::eval {

// By one way: what is there now of what it asked for or changed.
struct Left {
  std::map<CellIndex, State::CellNow> cells;
  std::map<State::ElementKey, std::optional<DynamicElement>> elements;
  std::map<Flows::Key, std::optional<FlowEntry>> flows;
};

struct Doubts {
  std::map<CellIndex, State::Tokens> cells;
  std::set<State::ElementKey> elements;
  std::set<Flows::Key> flows;
  // Any of them: where one's translation differs, so may the address or port that another gets.
  bool all_flows = false;
  bool fragments = false;  // which are kept
  bool all_state = false;  // limits, counts and elements

  // Of another way of the same packet.
  void add_differences(const Left& one, const Left& other);
  // Of a packet that has met a doubt: all of it.
  void add_all(const Left& left);
  void merge(const Doubts& others);
};

}  // namespace rolewall::eval
