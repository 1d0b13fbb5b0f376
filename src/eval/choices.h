// What the kernel draws or looks up and the question does not say: the machine takes an answer, and
// can be run again for each other one. Depth first, the first answers first.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
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

// Questions and the number of the answer that was taken.
using Assignment = std::map<Question, std::size_t>;

class Choices {
 public:
  // A packet that is not asked again.
  void forget() {
    taken_.clear();
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
    where.times = times_[where]++;
    const std::size_t answer = take(count, where);
    asked_.push_back({where, answer});
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
    Assignment all;
    for (const Asked& asked : asked_) all.emplace(asked.question, asked.answer);
    return all;
  }

 private:
  struct Taken {
    std::size_t answer = 0;
    std::size_t count = 0;
  };
  struct Asked {
    Question question;
    std::size_t answer = 0;
  };

  void begin() {
    at_ = 0;
    turn_ = 0;
    asked_.clear();
    times_.clear();
  }

  std::size_t take(std::size_t count, const Question& question) {
    if (given_ != nullptr) {
      const auto known = given_->find(question);
      if (known != given_->end() && known->second < count) return known->second;
    }
    if (at_ == taken_.size()) taken_.push_back({0, count});
    return taken_[at_++].answer;
  }

  std::vector<Taken> taken_;
  std::size_t at_ = 0;
  std::vector<Asked> asked_;
  std::map<Question, std::uint32_t> times_;  // of each place, which is the question's first
  std::uint32_t turn_ = 0;
  const Assignment* given_ = nullptr;
};

}  // namespace rolewall::eval
