#include "net/mapped_address.h"

namespace rolewall::net {
namespace {

constexpr unsigned kMappedBits = Ipv6::kBits - Ipv4::kBits;  // ::ffff:0:0/96
constexpr Uint128 kMapped = 0xffff;

}  // namespace

Address unmapped(const Address& address) {
  return unmapped(Prefix{address, address_bits(address)}).address;
}

Prefix unmapped(const Prefix& prefix) {
  const auto* ipv6 = std::get_if<Ipv6>(&prefix.address);
  if (ipv6 == nullptr || prefix.length < kMappedBits || ipv6->value >> Ipv4::kBits != kMapped) {
    return prefix;
  }
  return {Ipv4{static_cast<Ipv4::Number>(ipv6->value)}, prefix.length - kMappedBits};
}

}  // namespace rolewall::net
