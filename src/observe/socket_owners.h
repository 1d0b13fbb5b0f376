// Which process holds a socket, from /proc/PID/fd: root sees everybody's, others their own alone.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace rolewall::observe {

// Names of programs ("sshd"), by the socket's inode. Of several that hold one socket the first that
// was started.
using SocketOwners = std::unordered_map<std::uint64_t, std::string>;
SocketOwners socket_owners();

}  // namespace rolewall::observe
