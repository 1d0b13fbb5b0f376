// A connection to the kernel, which must be there.
#pragma once

#include <doctest/doctest.h>

#include <utility>

#include "netlink/netlink.h"

namespace rolewall::netlink::test {

inline Connection connect() {
  auto kernel = Connection::open();
  REQUIRE(kernel);
  return std::move(*kernel);
}

}  // namespace rolewall::netlink::test
