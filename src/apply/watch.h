// The process that waits to roll back: one of its own, which survives the terminal, the session and
// the tool. Where systemd runs the machine it is a unit too (systemd.h). What it does when the time
// is over: timed_rollback.h.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "apply/pending.h"
#include "apply/state_directory.h"
#include "apply/world.h"

namespace rolewall::apply {

// World::start_watch() of the machine that we run on. REQUIRES: `pending.json` is written: the
// process ends where it finds that nothing waits. It holds `former` in memory: neither a full disk
// nor a missing program keeps it from its work.
Result<int> start_watch_process(const World& world, const std::string& state_directory,
                                const Pending& pending, const std::optional<Generation>& former,
                                std::chrono::seconds within);

// Whether anybody is there to roll back what waits: that process, or, where systemd runs the
// machine, its timer, if that will still fire. Where pending.json is lost, which says which process
// it is, any of that name.
bool is_watched(const Pending& pending);

}  // namespace rolewall::apply
