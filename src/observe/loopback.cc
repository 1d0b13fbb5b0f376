#include "observe/loopback.h"

#include "net/known_addresses.h"

namespace rolewall::observe {

bool is_loopback(const net::Address& address) {
  static const net::AddressSet kLoopback = net::known_addresses({"127.0.0.0/8", "::1/128"});
  return kLoopback.contains(address);
}

}  // namespace rolewall::observe
