// Connection tracking's table, through ctnetlink: the entries of this network namespace.
#pragma once

#include <cstddef>
#include <functional>

#include "base/error.h"
#include "net/address.h"

namespace rolewall::netlink {

// Takes away every entry whose original or reply direction begins at an address for which `is_one`
// holds. Returns how many.
Result<std::size_t> cut_connections(const std::function<bool(const net::Address&)>& is_one);

// Takes away every entry, as `conntrack -F` does.
Result<void> forget_connections();

}  // namespace rolewall::netlink
