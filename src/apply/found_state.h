// What an apply finds: what is in force by the record, what of it waits for its confirmation, and
// so what comes back without one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/ask_guard.h"
#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/world.h"
#include "base/error.h"

namespace rolewall::apply {

class FoundState {
 public:
  std::shared_ptr<const Generation> in_force;  // null: nothing, or its record is damaged
  std::optional<std::uint32_t> number;         // of it, as far as is known
  std::optional<Pending> waits;
  std::optional<std::uint32_t> adopted;  // by adopt()
  bool is_spoilt = false;                // the record of what is in force
  std::vector<std::string> problems;     // what could not be read, in words

  // All of these must outlive it.
  FoundState(StateDirectory& state, const World& world, Kernel& kernel)
      : state_(state), world_(world), kernel_(kernel) {}

  void look();

  // `waits` should have been taken back, and nothing is left that could come back in its place.
  bool is_over() const;

  // What was confirmed last: several applies in a row go back to it together. Where its record is
  // damaged, what was in force before it, or else what is now.
  Result<std::optional<Generation>> confirmed() const;
  // Whether a record says it.
  bool knows_way_back() const { return (waits && !is_over()) || in_force; }
  // What the kernel holds, of which no record is to be had, becomes a generation. `now`: who does
  // it; `compiled`: for which host. std::nullopt where there is nothing.
  Result<std::optional<Generation>> adopt(Applied now, const ruleset::Snapshot& compiled);

 private:
  StateDirectory& state_;
  const World& world_;
  Kernel& kernel_;
};

// What the guard compares with: what is confirmed, not what waits.
Result<Today> today_beside(const std::string& directory, const std::optional<Pending>& waits,
                           const World& world);

}  // namespace rolewall::apply
