// Addresses that only this machine itself can reach.
#pragma once

#include "net/address.h"

namespace rolewall::observe {

bool is_loopback(const net::Address& address);

}  // namespace rolewall::observe
