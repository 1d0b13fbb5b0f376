// A packet's way that is only tried: each change to what packets leave behind (State, Flows) is
// noted as what takes it back, so that a try costs what it changes and not all that is remembered.
//
// What is noted holds the old value. Taken back in reverse order each finds what was there when it
// was noted. Nothing may move the noted object in between.
#pragma once

#include <functional>
#include <utility>
#include <vector>

namespace rolewall::eval {

class Undo {
 public:
  void note(std::function<void()> back) { steps_.push_back(std::move(back)); }
  void take_back() {
    for (; !steps_.empty(); steps_.pop_back()) steps_.back()();
  }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace rolewall::eval
