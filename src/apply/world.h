// The seam to the rest of the machine that is not a file: one boot of one network namespace, its
// kernel, its clocks, and the process that waits there to roll back. Tests have one in memory,
// whose clocks they set.
//
// Two clocks, for two questions. How late it is for people and over a reboot is the wall clock's,
// which anyone with the rights, or NTP, may set: it never decides whether a rollback is due. How
// much time has passed is CLOCK_BOOTTIME's, which goes on while the machine sleeps and which nobody
// can set; it means nothing in another boot.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"

namespace rolewall::apply {

class Kernel;
struct Generation;
struct Pending;

class World {
 public:
  virtual ~World() = default;

  virtual Result<std::unique_ptr<Kernel>> open_kernel() const = 0;
  // What was believed of a kernel holds in the same boot and network namespace alone.
  virtual std::string boot_id() const = 0;
  virtual std::string network_namespace() const = 0;

  virtual std::int64_t wall_seconds() const = 0;  // since 1970, UTC
  virtual std::uint64_t boot_ns() const = 0;      // CLOCK_BOOTTIME

  // Starts the process that puts `former` back at pending.deadline_ns, unless it finds then that
  // nothing waits; returns its number once its timer is set. Where systemd runs the machine it
  // guards the process too, and looks itself after `within`.
  virtual Result<int> start_watch(const std::string& state_directory, const Pending& pending,
                                  const std::optional<Generation>& former,
                                  std::chrono::seconds within) const = 0;
};

// The machine that we run on.
const World& this_world();

// The wall clock's time, or that in so many seconds: RFC 3339, UTC.
std::string clock_time(const World& world, std::int64_t seconds_from_now = 0);

}  // namespace rolewall::apply
