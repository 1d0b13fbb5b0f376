// One question and its answers on a netlink socket of libmnl's: for what is no transaction of
// nf_tables.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <functional>
#include <memory>

#include "base/error.h"
#include "netlink/attributes.h"

namespace rolewall::netlink {

struct SocketCloser {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using SocketPtr = std::unique_ptr<mnl_socket, SocketCloser>;

// Null, and errno, where there is none to be had.
SocketPtr open_socket(int protocol);

// Sends `request` and reads until the answer's end; the errno that it ends in, or 0.
int exchange(mnl_socket* socket, View request, const std::function<void(const nlmsghdr&)>& visit);

std::unexpected<Error> failed(const char* what, int error);

}  // namespace rolewall::netlink
