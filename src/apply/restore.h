// Back to a former state of the table: what is armed before a commit that waits for its
// confirmation, and how the kernel and the record are put back, by whoever does it (the process
// that waits, `rollback`, boot).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/world.h"

namespace rolewall::apply {

// Starts the process that waits, and writes `pending.json`. `former`: what comes back; absent: our
// table goes.
Result<Pending> arm(const World& world, StateDirectory& state, std::uint32_t generation,
                    const std::optional<Generation>& former, std::chrono::seconds within);

// The process ends by itself once it sees that nothing waits.
Result<void> disarm(StateDirectory& state);

// Makes the kernel's table that of `former`, with what the log of bans remembers where there was
// none; without it, none. Nothing is believed: everything is read. Returns the kernel's generation
// after it; 0 where there is no table.
Result<std::uint32_t> put_back(const World& world, Kernel& kernel,
                               const std::optional<Generation>& former,
                               const std::string& state_directory);

// Puts `former` in force in place of `generation` and records that. The kernel first.
Result<RolledBack> restore(const World& world, StateDirectory& state, Kernel& kernel,
                           std::uint32_t generation, const std::optional<Generation>& former,
                           std::string why);

// What the ruleset that is in force again shuts out, for people; "" where that is nothing, or was
// never asked for. Nothing is refused for it: whoever waits has no one to ask.
std::string what_is_lost(Kernel& kernel, const std::optional<Generation>& former);

// For people.
std::string in_words(const RolledBack& done);

}  // namespace rolewall::apply
