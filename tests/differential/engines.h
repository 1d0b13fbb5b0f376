// One packet, asked of everything here that claims to know the answer:
//
//   reference    the policy itself, read rule by rule          shares nothing with the others
//   compiled     the evaluator on the compiled ruleset
//   plain        the evaluator on the ruleset without passes    no dispatch maps, no shared sets
//   reread       the evaluator on `compiled`, written as JSON and read again
//
// Any two must agree on the verdict and on the rule that decides.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/eval.h"
#include "policy/effective.h"
#include "reference/policy_matcher.h"
#include "ruleset/snapshot.h"

namespace rolewall::differential {

// All engines for one host. `policy` must outlive it.
class Engines {
 public:
  Engines(const policy::Policy& policy, policy::Index host, policy::Date date,
          test::RunTime run_time);

  // What the engines say, one a line, where they differ; std::nullopt where they agree.
  std::optional<std::string> disagreement(const reference::Packet& packet);

  // Of these, the evaluator had no answer to some.
  std::size_t asked() const { return asked_; }
  std::size_t unanswered() const { return unanswered_; }
  // The built-in steps and rules that have decided, each once: what the packets reach.
  const std::vector<std::string>& deciders() const { return deciders_; }

 private:
  struct Engine {
    std::string name;
    std::unique_ptr<ruleset::Snapshot> snapshot;
    std::unique_ptr<eval::Evaluator> evaluator;
  };
  void add(std::string name, ruleset::Snapshot snapshot);

  const policy::Policy& policy_;
  policy::HostPolicy host_;
  test::RunTime run_time_;
  std::vector<Engine> engines_;
  std::vector<std::string> deciders_;
  std::size_t asked_ = 0;
  std::size_t unanswered_ = 0;
};

std::string format(const reference::Packet& packet);
std::string format(const test::RunTime& run_time);

}  // namespace rolewall::differential
