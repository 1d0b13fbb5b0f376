// Which process holds a socket, from /proc/PID/fd: root sees everybody's, others their own alone.
// And whose child a process is.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace rolewall::observe {

// Whether /proc is mounted, and this process in it: else none is seen.
bool sees_processes();

// Names of programs ("sshd"), by the socket's inode. Of several that hold one socket the first that
// was started.
using SocketOwners = std::unordered_map<std::uint64_t, std::string>;
SocketOwners socket_owners();

// The sockets of every process that holds the tun device.
std::set<std::uint64_t> sockets_beside_tun(const std::string& device);

struct Process {
  std::string name;
  std::set<std::uint64_t> sockets;
};
Process process_of(unsigned id);
// Those that hold sockets, by their ids: to read all takes its time.
std::map<unsigned, Process> processes_with_sockets();
std::vector<unsigned> processes_named(std::string_view name);

// 0: it has none, or is gone.
unsigned parent_of(unsigned process);
// What this process descends from, its parent first; of a very long line the nearest.
std::vector<unsigned> ancestors();
// The number of its controlling terminal; 0: it has none.
unsigned terminal_of(unsigned process);

}  // namespace rolewall::observe
