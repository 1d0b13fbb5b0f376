// A netlink socket on which netfilter tells of things as they happen: a multicast group (nf_tables'
// trace), or what the socket has bound itself to (a log group). Nobody asks again: what is not read
// in time is lost, and the loss is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "netlink/exchange.h"
#include "netlink/message.h"

namespace rolewall::netlink {

class EventSocket {
 public:
  struct Room {
    std::size_t datagram = 0;  // the largest, in bytes
    std::size_t at_once = 1;   // datagrams that one system call reads
    int waiting = 0;           // bytes that the kernel keeps meanwhile; 0: what it does by itself
    // System calls of one read(), after which it returns though there is more; 0: no limit. For
    // whoever has something else to do meanwhile, however much comes.
    std::size_t most_calls = 0;
  };

  // In the current network namespace. A room that the kernel does not grant in full is smaller.
  static Result<EventSocket> open(const Room& room);

  Result<void> join(int group);  // NFNLGRP_*

  // One message that asks for an acknowledgement, and waits for it. Events that come meanwhile are
  // lost.
  Result<void> ask(View request, const char* what);

  // Gives `visit` every message that has come, after waiting for the first for at most `timeout_ms`
  // (0: not at all). An error of kind Conflict: they came faster than they were read, and some were
  // lost. What cannot be cut into whole messages is an error.
  Result<void> read(int timeout_ms, const std::function<void(const Answer&)>& visit);

 private:
  EventSocket(SocketPtr socket, const Room& room);
  Result<void> take(View datagram, const std::function<void(const Answer&)>& visit) const;

  SocketPtr socket_;
  Room room_;
  std::vector<std::uint8_t> buffers_;  // `at_once` of them
};

}  // namespace rolewall::netlink
