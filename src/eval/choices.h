// What the kernel draws or looks up and the question does not say: the machine takes an answer, and
// can be run again for each other one. Depth first, the first answers first.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace rolewall::eval {

// Where something was chosen: by its place, so that another ruleset that holds the same rule there
// can be asked with the same answer.
struct Question {
  static constexpr std::uint32_t kNoRule = 0xffffffff;
  std::uint32_t turn = 0;         // the packet of the conversation, from 0
  std::uint32_t table = kNoRule;  // no rule's: the tracker's, or a translation's
  std::uint32_t chain = kNoRule;
  std::uint32_t rule = kNoRule;
  std::uint32_t times = 0;  // how often something was chosen there before
  auto operator<=>(const Question&) const = default;
};

// Questions and the number of the answer that was taken, in the questions' order, each once: a
// thousand rules ask a thousand of them on each way.
using Assignment = std::vector<std::pair<Question, std::size_t>>;

class Choices {
 public:
  // A packet that is not asked again.
  void forget() {
    taken_.clear();
    times_.clear();
    given_ = nullptr;
    begin();
  }

  // Answers that are not chosen, but known. It must outlive the choosing.
  void give(const Assignment* given) { given_ = given; }
  void begin_turn(std::uint32_t turn) { turn_ = turn; }

  // Of `count` answers the one to take. REQUIRES: count > 0.
  std::size_t choose(std::size_t count, Question where = {}) {
    where.turn = turn_;
    where.times = 0;
    Times& times = times_[where];
    if (times.way != way_) times = {way_, 0};
    where.times = times.count++;
    const std::size_t answer = take(count, where);
    asked_.emplace_back(where, answer);
    return answer;
  }

  // To the next way that was not gone. False where all were.
  bool next() {
    begin();
    while (!taken_.empty() && taken_.back().answer + 1 == taken_.back().count) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().answer;
    return true;
  }

  // On this way, given ones among them.
  Assignment assignment() const {
    Assignment all = asked_;
    std::ranges::sort(all);
    return all;
  }

 private:
  struct Taken {
    std::size_t answer = 0;
    std::size_t count = 0;
  };
  struct Times {
    std::uint64_t way = 0;  // on which it was counted
    std::uint32_t count = 0;
  };

  void begin() {
    at_ = 0;
    turn_ = 0;
    asked_.clear();
    ++way_;
  }

  std::size_t take(std::size_t count, const Question& question) {
    if (given_ != nullptr) {
      const auto known =
          std::ranges::lower_bound(*given_, question, {}, &Assignment::value_type::first);
      const bool is_there = known != given_->end() && known->first == question;
      if (is_there && known->second < count) return known->second;
    }
    if (at_ == taken_.size()) taken_.push_back({0, count});
    return taken_[at_++].answer;
  }

  std::vector<Taken> taken_;
  std::size_t at_ = 0;
  Assignment asked_;                 // in the order of asking
  std::map<Question, Times> times_;  // of each place, which is the question's first
  std::uint64_t way_ = 0;            // that is gone, counted from the first of all
  std::uint32_t turn_ = 0;
  const Assignment* given_ = nullptr;
};

}  // namespace rolewall::eval
