// Repeats of a log line, folded: what is said again within some time by the same rule about the
// same two hosts and service is counted and not shown.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "observe/log_event.h"

namespace rolewall::observe {

class LogFold {
 public:
  using Clock = std::chrono::steady_clock;

  // `time` 0: nothing is folded.
  explicit LogFold(std::chrono::milliseconds time) : time_(time) {}

  struct Repeated {
    LogEvent event;  // the first of them
    std::uint64_t times = 0;
    Clock::time_point since;
  };

  // Whether the line is to be shown. At most kMost different lines are kept: what comes beyond them
  // is counted by rule alone, as crowd() says, and not shown.
  bool is_new(const LogLine& line, Clock::time_point now);
  // Gives what has been repeated and whose time is over (`all`: whatever the time), and forgets it.
  void finish(Clock::time_point now, bool all, const std::function<void(const Repeated&)>& visit);

  // Lines that were not shown since there were too many different ones, since this was asked last.
  std::uint64_t take_crowd();

  static constexpr std::size_t kMost = 65536;

 private:
  std::chrono::milliseconds time_;
  std::unordered_map<std::string, Repeated> seen_;
  std::string key_;  // kept, for its memory
  std::uint64_t crowd_ = 0;
};

}  // namespace rolewall::observe
