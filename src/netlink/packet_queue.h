// Packets that a rule holds (NFQUEUE) until somebody says what becomes of them, of the current
// network namespace (net/netfilter/nfnetlink_queue.c). Where more wait than fit, the kernel lets
// the rest pass. Those that wait when this is closed are dropped.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {

class PacketQueue {
 public:
  // Of a number that nobody else has taken.
  static Result<PacketQueue> open();

  std::uint16_t number() const { return number_; }
  int descriptor() const { return mnl_socket_get_fd(socket_.get()); }

  // The numbers of those that have come. Does not wait.
  Result<std::vector<std::uint32_t>> held();
  // They meet the hook that they are held on once more, from the rule's base chain on.
  Result<void> repeat(std::span<const std::uint32_t> packets);
  // They go on behind the rule that holds them.
  Result<void> pass(std::span<const std::uint32_t> packets);

 private:
  Result<void> release(std::span<const std::uint32_t> packets, std::uint32_t what);  // NF_*
  PacketQueue(SocketPtr socket, std::uint16_t number)
      : socket_(std::move(socket)), number_(number) {}

  SocketPtr socket_;
  std::uint16_t number_ = 0;
};

}  // namespace rolewall::netlink
