// Who administers this machine by ssh, and on which ports: what an apply must not cut off.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "observe/session.h"

namespace rolewall::observe {

// What is said to be this command's session, and whether it is.
enum class SessionKind : std::uint8_t {
  Own,  // the one that this command runs in
  All,  // every one that is open: SSH_CONNECTION names none, one that is over, or an inherited one
  Claimed  // SSH_CONNECTION names it; no session at all is open in this network namespace
};

// Where ssh can be reached.
struct SshDoor {
  net::Address address;  // unspecified: at each of this host's
  std::uint16_t port = 0;
  bool operator==(const SshDoor&) const = default;
};

struct SshService {
  std::vector<SshDoor> doors;
  bool only_within = false;  // it listens at the loopback alone: others relay to it
  std::vector<SshConnection> sessions;
  std::vector<SshConnection> others;  // that are open beside this command's own
  SessionKind kind = SessionKind::All;
  bool is_over = false;  // SSH_CONNECTION names a session that is not open
  // It names one that is open and that this command does not run below: in tmux or screen whoever
  // is attached types, and may have come by another. That one is the first of `sessions`.
  bool is_inherited = false;
};

// Of this network namespace. Which program holds a socket, only root is told of all: for others it
// is port 22, where somebody listens, and what their own programs hold.
Result<SshService> ssh_service();

}  // namespace rolewall::observe
