// Which process holds a socket, from /proc/PID/fd: root sees everybody's, others their own alone.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>

namespace rolewall::observe {

// Names of programs ("sshd"), by the socket's inode. Of several that hold one socket the first that
// was started.
using SocketOwners = std::unordered_map<std::uint64_t, std::string>;
SocketOwners socket_owners();

// The sockets of every process that holds the tun device, or this socket.
std::set<std::uint64_t> sockets_beside_tun(const std::string& device);
std::set<std::uint64_t> sockets_beside(std::uint64_t socket);

}  // namespace rolewall::observe
