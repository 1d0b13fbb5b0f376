// Back to a former state of the table: what is armed before a commit that waits for its
// confirmation, and how the kernel and the record are put back, by whoever does it (the process
// that waits, `rollback`, boot).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/events.h"
#include "apply/kernel.h"
#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/world.h"

namespace rolewall::apply {

// What every verb holds that changes something: the directory, alone, and the kernel.
struct Writer {
  StateDirectory state;
  std::unique_ptr<Kernel> kernel;
};
// std::nullopt where nothing was ever applied: there is no directory then, and none is made.
Result<std::optional<Writer>> open_to_write(const std::string& state_directory, const World& world);

// Starts the process that waits, and writes `pending.json`. `generation`: what waits; `former`:
// what comes back; either absent: no table of ours.
Result<Pending> arm(const World& world, StateDirectory& state,
                    std::optional<std::uint32_t> generation,
                    const std::optional<Generation>& former, std::chrono::seconds within);

// The process ends by itself once it sees that nothing waits.
Result<void> disarm(StateDirectory& state);
// What was armed came to nothing: what waited before waits again.
Result<void> arm_again(StateDirectory& state, const std::optional<Pending>& earlier);

// What the kernel holds now, and what beside the ruleset could not be put there, in words.
struct PutBack {
  std::uint32_t kernel_generation = 0;  // 0 where there is no table
  bool changed = false;                 // it held another
  std::vector<std::string> problems;
};

// Makes the kernel's table that of `former`; without it, none. Nothing is believed: everything is
// read. A table that was not there gets what the log of bans remembers, and sessions that are open
// their conntrack entries, unless they are with a banned address: these end.
Result<PutBack> put_back(const World& world, Kernel& kernel,
                         const std::optional<Generation>& former,
                         const std::string& state_directory);
// The same of a ruleset that is no generation. Refusals are an error.
Result<PutBack> put_table(const World& world, Kernel& kernel, const ruleset::Table& table,
                          const std::string& state_directory);

// That `former` is in force, as `event` says it (kind, from, why); where that waits for its
// confirmation, boot loads what it did.
Result<TakenBack> record_return(const World& world, StateDirectory& state, Event event,
                                const std::optional<Generation>& former, PutBack put);
// Both, the kernel first.
Result<TakenBack> restore(const World& world, StateDirectory& state, Kernel& kernel, Event event,
                          const std::optional<Generation>& former);

// The same for whoever has nobody to ask: whom it shuts out is said among the problems.
Result<TakenBack> return_by_itself(const World& world, StateDirectory& state, Kernel& kernel,
                                   Event event, const std::optional<Generation>& former);

// What waited and is over, since its time is or since the machine was restarted, is rolled back;
// std::nullopt where there is nothing of the kind. Every verb that changes something begins with
// it: the process that should have done it may be dead, and no boot may have come. Where the record
// of what was confirmed is damaged, what was in force before that comes back; an error where
// nothing is left that could.
Result<std::optional<TakenBack>> end_what_is_over(const World& world, StateDirectory& state,
                                                  Kernel& kernel);

// Why an Event::Dropped is.
inline constexpr const char* kNotConfirmedBeforeBoot =
    "the machine was restarted before it was confirmed";

// Writes down at which mark this world's kernel holds the generation (kernel.json). Where that
// fails, the next apply reads what is there.
void note_in_kernel(const World& world, StateDirectory& state, Applied applied, KernelMark mark);

// Now, by this user.
Event event_now(const World& world, EventKind kind);
}  // namespace rolewall::apply
