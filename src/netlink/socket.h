// A netlink socket to nfnetlink: one request at a time, answers matched to it by sequence number,
// and nothing that waits for ever.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "netlink/message.h"

namespace rolewall::netlink {

// What the kernel said about one message of a batch.
struct KernelError {
  std::uint32_t sequence = 0;  // counted from the batch's first message
  int os_errno = 0;
  std::uint32_t offset = 0;  // of the attribute at fault, from the message's begin; 0: not said
  std::string text;          // mostly absent
};

// What the kernel answers to whoever may not ask it.
std::unexpected<Error> not_permitted();

struct BatchAnswer {
  std::vector<KernelError> errors;
  bool acknowledged = false;
  bool overrun = false;  // the socket could not hold all errors
};

class Socket {
 public:
  static Result<Socket> open();

  enum class DumpEnd { Complete, Interrupted };

  // Sends one message and gives every answer to `visit`, whose error ends the dump: what is left of
  // it is not asked of the kernel. Interrupted: the kernel says that what it dumped changed
  // meanwhile. The error carries the kernel's errno.
  Result<DumpEnd> dump(std::vector<std::uint8_t> request,
                       const std::function<Result<void>(const Answer&)>& visit);

  // One answer to one message.
  Result<void> ask(std::vector<std::uint8_t> request,
                   const std::function<Result<void>(const Answer&)>& visit);

  // Sends a batch of `count` messages, already numbered from `first_sequence` on. The kernel works
  // within the send, so that all it has to say is there when this returns; without an error and
  // unless a message asked for an acknowledgement, it says nothing.
  Result<BatchAnswer> transact(View batch, std::uint32_t first_sequence, std::uint32_t count);

  // The first of `count` sequence numbers that no one else uses.
  std::uint32_t reserve_sequences(std::uint32_t count);

 private:
  struct Closer {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit Socket(mnl_socket* socket);

  int descriptor() const { return mnl_socket_get_fd(socket_.get()); }
  Result<void> send(View message);
  Result<void> make_room(std::size_t size);
  std::unexpected<Error> abandon(Error reason);
  // The bytes of one datagram; an empty view if `wait` is false and there is none.
  Result<View> receive(bool wait);
  void read_batch_answers(View datagram, std::uint32_t first_sequence, std::uint32_t count,
                          BatchAnswer& answer) const;

  std::unique_ptr<mnl_socket, Closer> socket_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t next_sequence_ = 1;
  unsigned port_ = 0;
};

}  // namespace rolewall::netlink
