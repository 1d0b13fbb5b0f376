// What the process that waits (watch.h) does, without the process: whether its apply still waits,
// and how it is taken back, attempt by attempt. It holds what comes back in memory: neither a full
// disk nor a record that is damaged keeps it from its work.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apply/events.h"
#include "apply/generations.h"
#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

class TimedRollback {
 public:
  // `world` and `former` must outlive it.
  TimedRollback(const World& world, std::string directory, Pending pending,
                const std::optional<Generation>& former);

  const Pending& pending() const { return pending_; }

  enum class Sight : std::uint8_t {
    Ours,
    Another,  // an apply that has taken this one's place, and may give it back
    NothingWaits,
  };
  // What waits now. What cannot be read, or was taken away, is no confirmation.
  Sight look();

  // Once its time is over. `number`: of attempts before it; better unrecorded than shut out, so
  // that some are enough to do without a record. An error of kind Refused where a confirmation came
  // in between: there is nothing to be done any more. REQUIRES: look() was Ours.
  Result<TakenBack> attempt(int number);

 private:
  bool is_settled() const;
  bool is_told_of() const;
  Result<TakenBack> return_unrecorded(Kernel& kernel, Event event);

  const World& world_;
  std::string directory_;
  Pending pending_;
  const std::optional<Generation>& former_;
  Sight seen_ = Sight::Ours;  // in pending.json, when it could be read last
};

}  // namespace rolewall::apply
