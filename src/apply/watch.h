// The armed rollback: a process of its own, which survives the terminal, the session and the tool.
// Where systemd runs the machine it is a unit too (systemd.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "apply/pending.h"
#include "apply/state_directory.h"
#include "netlink/netlink.h"

namespace rolewall::apply {

// Starts the process, which has its timer when this returns, and writes `pending.json`. `former`:
// what comes back; absent: our table goes. It holds that in memory: neither a full disk nor a
// missing program keeps it from its work.
Result<Pending> arm(StateDirectory& state, std::uint32_t generation,
                    const std::optional<Generation>& former, std::chrono::seconds within);

// For people.
std::string in_words(const RolledBack& done);

// The process ends by itself once it sees that nothing waits.
Result<void> disarm(StateDirectory& state);

// Makes the kernel's table that of `former`, with what the log of bans remembers where there was
// none; without it, none. Returns the kernel's generation after it; 0 where there is no table.
Result<std::uint32_t> put_back(netlink::Connection& kernel, const std::optional<Generation>& former,
                               const std::string& state_directory);

// Puts `former` in force in place of `generation` and records that. The kernel first.
Result<RolledBack> restore(StateDirectory& state, netlink::Connection& kernel,
                           std::uint32_t generation, const std::optional<Generation>& former,
                           std::string why);

}  // namespace rolewall::apply
