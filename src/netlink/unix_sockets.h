// Unix sockets of this network namespace that are connected: who is at the other end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace rolewall::netlink {

struct UnixSocket {
  std::uint64_t inode = 0;  // as /proc/PID/fd shows it
  std::uint64_t peer = 0;   // likewise
  // Of one that was accepted: the listener's. An abstract one begins with a zero byte (unix(7)).
  std::string name;
};

// By sock_diag(7).
Result<std::vector<UnixSocket>> read_unix_sockets();

}  // namespace rolewall::netlink
