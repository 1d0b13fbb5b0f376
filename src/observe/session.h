// The session that this command runs in, as far as the network is concerned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/address.h"

namespace rolewall::observe {

// What sshd says of a session: from where to where.
struct SshConnection {
  net::Address client;
  std::uint16_t client_port = 0;
  net::Address server;
  std::uint16_t server_port = 0;
};

// From SSH_CONNECTION of this process, else of the nearest ancestor that has it: sudo takes it
// away.
std::optional<SshConnection> ssh_connection();

}  // namespace rolewall::observe
