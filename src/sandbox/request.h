// One acknowledged request to a part of netfilter that nf_tables' own connection does not speak to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sandbox/descriptor.h"

namespace rolewall::sandbox {

Result<Descriptor> netfilter_socket();

class Request {
 public:
  // NFNL_SUBSYS_*, its message's type, AF_*, and what nfgenmsg calls a resource.
  Request(std::uint8_t subsystem, std::uint8_t type, std::uint8_t family, std::uint16_t resource);

  // REQUIRES: all attributes together are less than 1 KiB.
  void put(std::uint16_t type, const void* data, std::size_t size);

  // Waits for the answer; an error says what was asked and the kernel's reason.
  Result<void> send(int socket, std::string_view what) const;

 private:
  std::vector<std::byte> message_;
};

}  // namespace rolewall::sandbox
