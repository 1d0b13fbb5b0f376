// One host's ruleset in the sandbox, which says what the kernel does with a packet, in the
// conntrack state that a question gives.
#pragma once

#include <memory>
#include <optional>

#include "base/error.h"
#include "eval/packet.h"
#include "ruleset/snapshot.h"
#include "sandbox/judge.h"

namespace rolewall::cli {

class HostOnTrial {
 public:
  // REQUIRES: as sandbox::Judge::open(); the ruleset has one table.
  static Result<HostOnTrial> open(const ruleset::Snapshot& snapshot, const ruleset::Host& host);

  // What the answers' indexes mean.
  const ruleset::Ruleset& ruleset() const { return judge_.ruleset(); }

  // Absent: in the state that it is to be in, the kernel has no such packet.
  Result<std::optional<sandbox::Observation>> ask(const eval::Packet& packet, bool arrives);

 private:
  struct Shared;  // with what loads the ruleset
  HostOnTrial(std::shared_ptr<Shared> shared, sandbox::Judge judge)
      : shared_(std::move(shared)), judge_(std::move(judge)) {}

  Result<void> want(std::optional<std::uint32_t> state);
  Result<std::optional<sandbox::Observation>> send(const eval::Packet& packet, bool arrives);

  std::shared_ptr<Shared> shared_;
  sandbox::Judge judge_;
};

}  // namespace rolewall::cli
