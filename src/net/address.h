// IPv4 and IPv6 addresses and prefixes as plain values. Numbers are in host order, so that ranges
// compare as numbers; bytes on the wire are made by to_bytes(), in network order.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rolewall::net {

__extension__ using Uint128 = unsigned __int128;

struct Ipv4 {
  using Number = std::uint32_t;
  static constexpr unsigned kBits = 32;
  Number value = 0;
  auto operator<=>(const Ipv4&) const = default;
};

struct Ipv6 {
  using Number = Uint128;
  static constexpr unsigned kBits = 128;
  Number value = 0;
  auto operator<=>(const Ipv6&) const = default;
};

using Address = std::variant<Ipv4, Ipv6>;

// An address with a prefix length. `address` has no bit set beyond `length` (parse refuses others).
struct Prefix {
  Address address;
  unsigned length = 0;
  auto operator<=>(const Prefix&) const = default;
};

inline bool is_ipv4(const Address& address) {
  return std::holds_alternative<Ipv4>(address);
}
// 0.0.0.0 and ::, which stand for no address, or for any.
inline bool is_unspecified(const Address& address) {
  return address == Address{Ipv4{}} || address == Address{Ipv6{}};
}
inline bool is_loopback(const Address& address) {
  if (const auto* ipv6 = std::get_if<Ipv6>(&address)) return ipv6->value == 1;
  return std::get<Ipv4>(address).value >> 24 == 127;
}
inline bool is_multicast(const Address& address) {
  if (const auto* ipv6 = std::get_if<Ipv6>(&address)) return ipv6->value >> 120 == 0xff;
  return std::get<Ipv4>(address).value >> 28 == 0xe;
}
// 255.255.255.255, which no router passes on.
inline bool is_limited_broadcast(const Address& address) {
  return address == Address{Ipv4{0xffffffff}};
}
// Multicast, or all on the link: no host's own address, and received all the same.
inline bool is_group(const Address& address) {
  return is_multicast(address) || is_limited_broadcast(address);
}
inline unsigned address_bits(const Address& address) {
  return is_ipv4(address) ? Ipv4::kBits : Ipv6::kBits;
}

// inet_pton's forms alone: no "10.1", no leading zeros, no zone index.
std::optional<Address> parse_address(std::string_view text);

// Why a text that looks like a prefix or address is none; for diagnostics.
enum class PrefixError { NotAnAddress, BadLength, HostBitsSet };

// "10.0.0.0/16", "fd00::/8"; a bare address has the full length. `error` says why not.
std::optional<Prefix> parse_prefix(std::string_view text, PrefixError* error = nullptr);

std::string format(const Address& address);  // RFC 5952 for IPv6
std::string format(const Prefix& prefix);    // a full-length prefix is written as its address

std::array<std::uint8_t, 4> to_bytes(Ipv4 address);
std::array<std::uint8_t, 16> to_bytes(Ipv6 address);
std::vector<std::uint8_t> to_bytes(const Address& address);
Ipv4 ipv4_from_bytes(const std::uint8_t* bytes);
Ipv6 ipv6_from_bytes(const std::uint8_t* bytes);
Address address_from_bytes(std::span<const std::uint8_t> bytes);  // REQUIRES: 4 or 16

// The first and last address of a prefix.
Address first(const Prefix& prefix);
Address last(const Prefix& prefix);

}  // namespace rolewall::net
