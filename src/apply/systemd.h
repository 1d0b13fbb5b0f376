// The waiting rollback where systemd runs the machine: what a session or a service has started is
// killed with it, so the process becomes a unit of its own, with a timer as the second net.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "base/error.h"

namespace rolewall::apply {

// False too in another network namespace than systemd's: its timer would change systemd's firewall.
bool systemd_runs_here();

// Moves `process` to a scope `rolewall-rollback-TOKEN` of the system's, and has
// `rolewall rollback --expired` run after `within`, should the process be dead by then. Returns
// when both are so. CLOCK_MONOTONIC: the timer is late where the machine sleeps, and never early.
Result<void> guard_by_systemd(pid_t process, const std::string& token, std::chrono::seconds within,
                              const std::string& state_directory);

// Whether it would be run still: the timer waits for its time, or what it has started is at work or
// will be tried again. False where systemd does not answer.
bool timer_will_fire(const std::string& token);

// The timer is no longer wanted. Where this fails, it finds nothing to do.
void stop_timer(const std::string& token);

}  // namespace rolewall::apply
