// Who administers this machine by ssh, and on which ports: what an apply must not cut off.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "observe/session.h"

namespace rolewall::observe {

struct SshService {
  std::vector<std::uint16_t> ports;
  // The one that this command runs in; where it runs in none, all that are open.
  std::vector<SshConnection> sessions;
};

// Of this network namespace. Which program holds a socket, only root is told of all: for others it
// is port 22, where somebody listens, and what their own programs hold.
Result<SshService> ssh_service();

}  // namespace rolewall::observe
