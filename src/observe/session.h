// The session that this command runs in, as far as the network is concerned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/address.h"

namespace rolewall::observe {

// A session of ssh, from where to where.
struct SshConnection {
  net::Address client;
  std::uint16_t client_port = 0;
  net::Address server;
  std::uint16_t server_port = 0;
  std::string device{};  // of a link's own address: on which link
};

// What sshd said of it when it began: from SSH_CONNECTION of this process, else of the nearest
// ancestor that has it: sudo takes it away. In tmux, screen or under nohup it may be over by now
// (ssh_service.h).
std::optional<SshConnection> ssh_connection();

}  // namespace rolewall::observe
