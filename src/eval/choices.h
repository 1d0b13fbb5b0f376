// What the kernel draws or looks up and the question does not say: the machine takes an answer, and
// can be run again for each other one. Depth first, the first answers first.
#pragma once

#include <cstddef>
#include <vector>

namespace rolewall::eval {

class Choices {
 public:
  // A packet that is not asked again.
  void forget() { taken_.clear(), at_ = 0; }

  // Of `count` answers the one to take. REQUIRES: count > 0.
  std::size_t choose(std::size_t count) {
    if (at_ == taken_.size()) taken_.push_back({0, count});
    return taken_[at_++].answer;
  }

  // To the next way that was not gone. False where all were.
  bool next() {
    at_ = 0;
    while (!taken_.empty() && taken_.back().answer + 1 == taken_.back().count) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().answer;
    return true;
  }

 private:
  struct Taken {
    std::size_t answer = 0;
    std::size_t count = 0;
  };
  std::vector<Taken> taken_;
  std::size_t at_ = 0;
};

}  // namespace rolewall::eval
